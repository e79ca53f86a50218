package routing

import (
	"mqgateway/internal/flow"
	"mqgateway/internal/routing/jsonpath"
	"mqgateway/internal/routing/xmlpath"
)

// bodyKind is what the first character of a body says.
type bodyKind uint8

const (
	opaqueBody bodyKind = iota // has no values
	xmlBody
	jsonBody
)

// kindOf looks behind a byte order mark and blanks.
func kindOf(body []byte) bodyKind {
	if len(body) >= 3 && string(body[:3]) == "\xef\xbb\xbf" {
		body = body[3:]
	}
	for _, c := range body {
		switch c {
		case ' ', '\t', '\r', '\n':
		case '<':
			return xmlBody
		case '{', '[':
			return jsonBody
		default:
			return opaqueBody
		}
	}
	return opaqueBody
}

// body is the body of the message in hand. It is opened by the first rule that
// needs it, as a stream when all paths that the message can still reach can be
// found in one, else as a tree; all rules share that.
type body struct {
	opened  bool
	streams bool
	kind    bodyKind
	xml     xmlpath.Stream
	json    jsonpath.Stream
	xmlDoc  *xmlpath.Document
	jsonDoc *jsonpath.Document
	err     error // of making the tree
}

// release forgets the message.
func (b *body) release() {
	b.xml.Release()
	b.json.Release()
	b.opened, b.xmlDoc, b.jsonDoc, b.err = false, nil, nil, nil
}

// find returns the value of a fromBody rule.
func (b *body) find(e *evaluation, r *rule) (string, error) {
	if !b.opened {
		b.opened, b.kind = true, kindOf(e.message.Body)
		b.open(e)
	}
	switch {
	case b.kind == xmlBody && r.xml.path != nil:
		text, err := b.findXML(r.xml)
		if err != nil {
			return "", flow.Errorf(flow.BadMessage, "reading the XML body: %w", err)
		}
		return text, nil
	case b.kind == jsonBody && r.json.path != nil:
		text, err := b.findJSON(r.json)
		if err != nil {
			return "", flow.Errorf(flow.BadMessage, "reading the JSON body: %w", err)
		}
		return text, nil
	default:
		return "", nil
	}
}

func (b *body) open(e *evaluation) {
	r := e.router
	b.streams = e.streams(b.kind)
	switch {
	case b.kind == xmlBody && b.streams:
		b.xml.Reset(r.xmlPlan, e.message.Body, r.xmlLimits)
	case b.kind == xmlBody:
		b.xmlDoc, b.err = xmlpath.Parse(e.message.Body, r.xmlLimits)
	case b.kind == jsonBody && b.streams:
		b.json.Reset(r.jsonPlan, e.message.Body, r.jsonLimits)
	case b.kind == jsonBody:
		b.jsonDoc, b.err = jsonpath.Parse(e.message.Body, r.jsonLimits)
	}
}

func (b *body) findXML(r xmlRule) (string, error) {
	switch {
	case b.streams:
		return b.xml.Value(r.slot)
	case b.err != nil:
		return "", b.err
	default:
		return r.path.Text(b.xmlDoc)
	}
}

func (b *body) findJSON(r jsonRule) (string, error) {
	switch {
	case b.streams:
		return b.json.Value(r.slot)
	case b.err != nil:
		return "", b.err
	default:
		return r.path.Text(b.jsonDoc)
	}
}
