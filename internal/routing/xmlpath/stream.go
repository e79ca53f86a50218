package xmlpath

// Plan is a set of streaming paths that are looked for in one pass.
type Plan struct {
	paths []*Path
	byTag map[string][]int // indexes into paths
	// lengths has a bit for each length of a tag in byTag, to pass over most
	// others without a look-up.
	lengths uint64
}

// NewPlan makes a plan of paths that all stream.
func NewPlan(paths []*Path) *Plan {
	p := &Plan{paths: paths, byTag: make(map[string][]int)}
	for i, path := range paths {
		if tag := path.form.tag; tag != "" {
			p.byTag[tag] = append(p.byTag[tag], i)
			p.lengths |= lengthBit(len(tag))
		}
	}
	return p
}

func lengthBit(length int) uint64 { return 1 << min(length, 63) }

// Stream looks the values of a plan up in a body and reads no further than the
// value asked for. The zero value is ready for Reset.
type Stream struct {
	plan  *Plan
	scan  scanner
	slots []slot
	err   error
	done  bool
}

type slotState uint8

const (
	pending slotState = iota
	inside            // of the element whose text it is
	found
)

// slot is what is known of the value of a path.
type slot struct {
	state  slotState
	quoted bool // an attribute's value
	depth  int  // of the element, while inside
	value  span // raw
}

// Reset begins a new body.
func (s *Stream) Reset(plan *Plan, body []byte, limits Limits) {
	s.plan, s.err, s.done = plan, nil, false
	s.scan.reset(body, limits)
	if cap(s.slots) < len(plan.paths) {
		s.slots = make([]slot, len(plan.paths))
	}
	s.slots = s.slots[:len(plan.paths)]
	clear(s.slots)
}

// Release forgets the body.
func (s *Stream) Release() { s.scan.body, s.plan = nil, nil }

// Value returns the text of the first match of the plan's path i; it is empty
// when nothing matches. It reads on only as far as it must. A body that is
// broken before that is a [*SyntaxError].
func (s *Stream) Value(i int) (string, error) {
	for s.slots[i].state != found && !s.done && s.err == nil {
		s.step()
	}
	at := s.slots[i]
	switch {
	case at.state == found && at.quoted:
		return decode(at.value.of(s.scan.body), true), nil
	case at.state == found:
		return s.text(at.value, s.plan.paths[i].form), nil
	default:
		return "", s.err
	}
}

func (s *Stream) text(value span, f form) string {
	if f.root {
		return string(value.of(s.scan.body))
	}
	return contentText(value.of(s.scan.body))
}

// step reads one token.
func (s *Stream) step() {
	tok, err := s.scan.next()
	if err != nil {
		s.err = err
		return
	}
	switch tok.kind {
	case startTag:
		s.enter(tok)
	case endTag:
		s.leave(tok)
	case endOfBody:
		s.done = true
	}
}

// enter looks for the paths that a start tag matches.
func (s *Stream) enter(tok token) {
	name := tok.name.of(s.scan.body)
	if len(s.scan.open) == 0 || len(s.scan.open) == 1 && !tok.empty {
		s.nameRoot(tok.name)
	}
	if s.plan.lengths&lengthBit(len(name)) == 0 {
		return
	}
	for _, i := range s.plan.byTag[string(name)] {
		at := &s.slots[i]
		switch attribute := s.plan.paths[i].form.attribute; {
		case at.state != pending:
		case attribute != "":
			s.findAttribute(at, attribute)
		case tok.empty:
			at.state, at.value = found, tok.data
		default:
			at.state, at.value, at.depth = inside, tok.data, len(s.scan.open)
		}
	}
}

func (s *Stream) nameRoot(name span) {
	local := localName(name.of(s.scan.body))
	value := span{name.to - int32(len(local)), name.to}
	for i, path := range s.plan.paths {
		if path.form.root {
			s.slots[i] = slot{state: found, value: value}
		}
	}
}

func (s *Stream) findAttribute(at *slot, name string) {
	for _, a := range s.scan.attributes {
		if string(a.name.of(s.scan.body)) == name {
			at.state, at.value, at.quoted = found, a.value, true
			return
		}
	}
}

// leave ends the values of the element that an end tag closes.
func (s *Stream) leave(tok token) {
	name := tok.name.of(s.scan.body)
	if s.plan.lengths&lengthBit(len(name)) == 0 {
		return
	}
	for _, i := range s.plan.byTag[string(name)] {
		at := &s.slots[i]
		if at.state == inside && at.depth == len(s.scan.open)+1 {
			at.state, at.value.to = found, tok.data.from
		}
	}
}
