package jsonpath

// node is one value of a Document. Nodes lie in document order, a container
// before its members or elements.
type node struct {
	kind    tokenKind // objectStart for objects, arrayStart for arrays
	escaped bool
	// keyed says that the node is a member of an object, under key.
	keyed, keyEscaped bool
	key               span
	data              span  // raw text: without quotes for strings, whole for containers
	end               int32 // the first node behind this one and what it contains
}

// Document is a body as a tree in the order in which it was written. It refers
// to the body's bytes.
type Document struct {
	body  []byte
	nodes []node
	open  []int32 // while parsing
}

// Parse reads a whole body. A body that is no JSON text or over the limits is
// a [*SyntaxError].
func Parse(body []byte, limits Limits) (*Document, error) {
	d := &Document{body: body, nodes: make([]node, 0, 16+len(body)/16), open: make([]int32, 0, 16)}
	var s scanner
	s.reset(body, limits)
	var key token
	for {
		tok, err := s.next()
		if err != nil {
			return nil, err
		}
		switch tok.kind {
		case endOfBody:
			return d, nil
		case memberKey:
			key = tok
		case objectEnd, arrayEnd:
			d.close(tok)
		default:
			d.add(tok, key)
			key = token{}
		}
	}
}

func (d *Document) add(tok, key token) {
	at := int32(len(d.nodes))
	d.nodes = append(d.nodes, node{
		kind: tok.kind, escaped: tok.escaped, data: tok.data, end: at + 1,
		keyed: key.kind == memberKey, keyEscaped: key.escaped, key: key.data,
	})
	if tok.kind == objectStart || tok.kind == arrayStart {
		d.open = append(d.open, at)
	}
}

func (d *Document) close(tok token) {
	n := &d.nodes[d.open[len(d.open)-1]]
	n.end, n.data.to = int32(len(d.nodes)), tok.data.to
	d.open = d.open[:len(d.open)-1]
}

// text is the value as text: of an array that of its first element, of null
// and an empty array nothing.
func (d *Document) text(n int32) string {
	for d.nodes[n].kind == arrayStart {
		if d.nodes[n].end == n+1 {
			return ""
		}
		n++
	}
	at := &d.nodes[n]
	if at.kind == objectStart {
		return compact(at.data.of(d.body))
	}
	return scalarText(at.kind, at.escaped, at.data.of(d.body))
}

// length counts the members or elements of a container.
func (d *Document) length(n int32) int {
	count := 0
	for i := n + 1; i < d.nodes[n].end; i = d.nodes[i].end {
		count++
	}
	return count
}
