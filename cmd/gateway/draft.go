package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"mqgateway/internal/field"
	"mqgateway/internal/flow"
	"mqgateway/internal/mapping"
)

// draft is a message in the making, of what a user says of it.
type draft struct {
	message flow.Message
	// system has the names by which properties were set, by canonical name.
	system map[string]string
}

// setHeader adds a user header.
func (d *draft) setHeader(name, text string) error {
	if name == "" {
		return errors.New("the name of the header is empty")
	}
	for _, h := range d.message.Headers {
		if h.Name == name {
			return errors.New("the header is set twice")
		}
	}
	d.message.Headers = append(d.message.Headers, flow.Header{Name: name, Value: text})
	return nil
}

// setSystem sets a system header by any of its names, and what only brokers set
// otherwise, too.
func (d *draft) setSystem(name, text string) error {
	p, err := systemHeader(name)
	if err != nil {
		return err
	}
	if other, twice := d.system[p.Name]; twice {
		return fmt.Errorf("the header is set by %s already", other)
	}
	if d.system == nil {
		d.system = map[string]string{}
	}
	d.system[p.Name] = name
	if p.Set != nil {
		return p.Set(&d.message, text)
	}
	return setSource[p.Name](&d.message.Source, text)
}

// setMetadata adds a header of an incoming call.
func (d *draft) setMetadata(name, text string) error {
	if name == "" {
		return errors.New("the name of the header is empty")
	}
	call, name := d.call(), strings.ToLower(name)
	call.Metadata[name] = append(call.Metadata[name], text)
	return nil
}

func (d *draft) setAuthority(authority string) { d.call().Authority = authority }

// call makes the message one that came by a call, and not from a queue. It has to
// come before system headers that say otherwise.
func (d *draft) call() *flow.Call {
	if d.message.Call == nil {
		d.message.Source = flow.Source{}
		d.message.Call = &flow.Call{Metadata: map[string][]string{}}
	}
	return d.message.Call
}

// read finishes a draft as a source would.
func (d *draft) read() *flow.Message {
	m := d.message
	if m.ID == "" {
		m.ID, m.IDMade = mapping.NewID(), true
	}
	return &m
}

// systemHeader finds a system header that can have a value.
func systemHeader(name string) (*flow.Property, error) {
	p, ok := flow.PropertyByName(name)
	switch {
	case ok:
		return p, nil
	case flow.ForeignProperty(name):
		return nil, errors.New("no broker here has this header")
	default:
		return nil, fmt.Errorf("unknown system header%s", field.Suggest(name, flow.PropertyNames()))
	}
}

// setSource sets the properties that say where a message was read.
var setSource = map[string]func(s *flow.Source, text string) error{
	"BackoutCount": func(s *flow.Source, text string) error {
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return fmt.Errorf("%q is not a number of deliveries", text)
		}
		s.Deliveries = int(n)
		return nil
	},
	"Redelivered": func(s *flow.Source, text string) error {
		if text != "true" && text != "false" {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		s.Redelivered = text == "true"
		return nil
	},
	"SourceQueue":   func(s *flow.Source, text string) error { s.Queue = text; return nil },
	"SourceManager": func(s *flow.Source, text string) error { s.Manager = text; return nil },
	"Exchange":      func(s *flow.Source, text string) error { s.Exchange = text; return nil },
	"RoutingKey":    func(s *flow.Source, text string) error { s.RoutingKey = text; return nil },
}
