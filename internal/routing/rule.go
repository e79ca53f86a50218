package routing

import (
	"fmt"
	"strings"

	"mqgateway/internal/flow"
	"mqgateway/internal/routing/expression"
	"mqgateway/internal/routing/jsonpath"
	"mqgateway/internal/routing/xmlpath"
)

// finder is a compiled list of rules with the expression over what they find.
type finder struct {
	rules   []rule
	program *expression.Program // nil without an expression
}

// entry is a compiled entry of the list of routes.
type entry struct {
	name        string
	transport   string
	variables   []variable
	destination *expression.Program
	// destinations replace results; the keys are in lower case.
	destinations map[string]string
	// Whether all paths of the variables stream.
	streamsXML, streamsJSON bool
}

type variable struct {
	name string
	finder
}

// rule is a compiled rule.
type rule struct {
	kind ruleKind
	// name is that of the header, in lower case for metadata, or the constant.
	name     string
	property *flow.Property // nil for one that never has a value
	xml      xmlRule
	json     jsonRule
}

// xmlRule is a path with its place in the router's plan, which is negative for
// one that does not stream. The path is nil where the rule has none.
type xmlRule struct {
	path *xmlpath.Path
	slot int
}

type jsonRule struct {
	path *jsonpath.Path
	slot int
}

type ruleKind uint8

const (
	fromHeader ruleKind = iota
	fromUserHeader
	fromBody
	fromConst
	fromMetadata
	fromAuthority
)

var ruleKinds = map[string]ruleKind{
	"fromHeader": fromHeader, "fromSystemHeader": fromHeader,
	"fromRfh2Header": fromUserHeader, "fromUserHeader": fromUserHeader,
	"fromBody": fromBody, "fromConst": fromConst,
	"fromGrpcHeader": fromMetadata, "fromAuthority": fromAuthority,
}

// String describes the rule in errors and explanations.
func (r *rule) String() string {
	switch r.kind {
	case fromHeader:
		return fmt.Sprintf("fromHeader %q", r.name)
	case fromUserHeader:
		return fmt.Sprintf("fromRfh2Header %q", r.name)
	case fromConst:
		return fmt.Sprintf("fromConst %q", r.name)
	case fromMetadata:
		return fmt.Sprintf("fromGrpcHeader %q", r.name)
	case fromAuthority:
		return "fromAuthority"
	}
	switch {
	case r.json.path == nil:
		return fmt.Sprintf("fromBody %q", r.xml.path)
	case r.xml.path == nil:
		return fmt.Sprintf("fromBody %q", r.json.path)
	default:
		return fmt.Sprintf("fromBody %q, %q", r.xml.path, r.json.path)
	}
}

// find returns what the rule yields; empty for nothing.
func (e *evaluation) find(r *rule) (string, error) {
	switch r.kind {
	case fromHeader:
		if r.property == nil {
			return "", nil
		}
		return r.property.Text(e.message), nil
	case fromUserHeader:
		return userHeader(e.message, r.name), nil
	case fromBody:
		return e.body.find(e, r)
	case fromMetadata:
		return e.message.Call.Value(r.name), nil
	case fromAuthority:
		if e.message.Call == nil {
			return "", nil
		}
		return e.message.Call.Authority, nil
	default:
		return r.name, nil
	}
}

// userHeader prefers the exact name to one that differs by case.
func userHeader(m *flow.Message, name string) string {
	other := -1
	for i := range m.Headers {
		h := &m.Headers[i]
		if h.Name == name && !h.Reserved() {
			return h.Text()
		}
		if other < 0 && strings.EqualFold(h.Name, name) && !h.Reserved() {
			other = i
		}
	}
	if other < 0 {
		return ""
	}
	return m.Headers[other].Text()
}
