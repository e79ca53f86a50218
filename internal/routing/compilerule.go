package routing

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"mqgateway/internal/field"
	"mqgateway/internal/flow"
	"mqgateway/internal/routing/expression"
	"mqgateway/internal/routing/jsonpath"
	"mqgateway/internal/routing/xmlpath"
)

func (c *compiler) finder(path string, rules []RuleConfig, expr string, env expression.Env) finder {
	var f finder
	for i, cfg := range rules {
		at := fmt.Sprintf("%s.valueFrom[%d]", path, i)
		if last := len(f.rules) - 1; last >= 0 && f.rules[last].kind == fromConst && f.rules[last].name != "" {
			c.warn(at, "is never reached: the constant before it always wins")
			c.rule(at, cfg)
			continue
		}
		f.rules = append(f.rules, c.rule(at, cfg))
	}
	if strings.TrimSpace(expr) != "" {
		f.program = c.expression(path+".expr", expr, env)
	}
	return f
}

func (c *compiler) rule(path string, cfg RuleConfig) rule {
	kind, ok := ruleKinds[cfg.Type]
	if !ok {
		c.unknownType(path+".type", cfg.Type)
		return rule{kind: fromConst}
	}
	r := rule{kind: kind, name: cfg.Value}
	if kind != fromBody && cfg.ValueJSON != "" {
		c.warn(path+".valueJson", "has a meaning with fromBody only")
	}
	switch kind {
	case fromHeader:
		r.property = c.property(path+".value", cfg.Value)
	case fromUserHeader:
		c.userHeader(path+".value", cfg.Value)
	case fromMetadata:
		r.name = strings.ToLower(cfg.Value)
		c.needName(path+".value", cfg.Value)
	case fromBody:
		c.bodyRule(path, cfg, &r)
	case fromConst:
		if cfg.Value == "" {
			c.warn(path+".value", "an empty constant never wins")
		}
	}
	return r
}

func (c *compiler) unknownType(path, name string) {
	known := slices.Sorted(maps.Keys(ruleKinds))
	if name == "" {
		c.fail(path, "missing: one of %s", strings.Join(known, ", "))
		return
	}
	c.fail(path, "%q is none of %s%s", name, strings.Join(known, ", "), field.Suggest(name, known))
}

func (c *compiler) needName(path, name string) bool {
	if name == "" {
		c.fail(path, "missing: the name of the header")
	}
	return name != ""
}

// property finds a system header; nil for one that never has a value.
func (c *compiler) property(path, name string) *flow.Property {
	if !c.needName(path, name) {
		return nil
	}
	p, ok := flow.PropertyByName(name)
	switch {
	case ok:
		return p
	case flow.ForeignProperty(name):
		c.warn(path, "system header %q is never set by a broker of ours: the rule yields nothing", name)
	default:
		c.fail(path, "unknown system header %q%s; user headers are read by fromRfh2Header", name, field.Suggest(name, flow.PropertyNames()))
	}
	return nil
}

func (c *compiler) userHeader(path, name string) {
	if c.needName(path, name) && (flow.Header{Name: name}).Reserved() {
		c.warn(path, "header %q belongs to the broker or the gateway and is no user header: the rule yields nothing", name)
	}
}

func (c *compiler) bodyRule(path string, cfg RuleConfig, r *rule) {
	if cfg.Value == "" && cfg.ValueJSON == "" {
		c.fail(path+".value", "missing: the XPath for XML bodies, or valueJson, the JSONPath for JSON bodies")
	}
	if cfg.Value != "" {
		p, err := xmlpath.Compile(cfg.Value)
		if err != nil {
			c.errs = append(c.errs, field.Under(path+".value", err))
		} else {
			r.xml = c.xmlRule(path+".value", p)
		}
	}
	if cfg.ValueJSON != "" {
		p, err := jsonpath.Compile(cfg.ValueJSON)
		if err != nil {
			c.errs = append(c.errs, field.Under(path+".valueJson", err))
		} else {
			r.json = c.jsonRule(p)
		}
	}
}

func (c *compiler) xmlRule(path string, p *xmlpath.Path) xmlRule {
	if !p.Streams() {
		if c.opts.TypeParser == "SAX" {
			c.fail(path, "XPath %q needs mq.typeParser: DOM or auto; SAX knows local-name(/*), //tag and //tag/@attribute", p)
		}
		return xmlRule{p, -1}
	}
	slot, known := c.xmlSlots[p.String()]
	if !known {
		slot = len(c.xmlPaths)
		c.xmlSlots[p.String()] = slot
		c.xmlPaths = append(c.xmlPaths, p)
	}
	return xmlRule{p, slot}
}

func (c *compiler) jsonRule(p *jsonpath.Path) jsonRule {
	if !p.Streams() {
		return jsonRule{p, -1}
	}
	slot, known := c.jsonSlots[p.String()]
	if !known {
		slot = len(c.jsonPaths)
		c.jsonSlots[p.String()] = slot
		c.jsonPaths = append(c.jsonPaths, p)
	}
	return jsonRule{p, slot}
}

// streams tells for XML and JSON that all paths of the rules stream, and may.
func (c *compiler) streams(finders ...*finder) (xml, json bool) {
	xml, json = c.opts.TypeParser != "DOM", c.opts.TypeParser != "DOM"
	for _, f := range finders {
		for _, r := range f.rules {
			xml = xml && (r.xml.path == nil || r.xml.slot >= 0)
			json = json && (r.json.path == nil || r.json.slot >= 0)
		}
	}
	return xml, json
}
