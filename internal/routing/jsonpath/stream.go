package jsonpath

// Plan is a set of streaming paths that are looked for in one pass.
type Plan struct{ paths []*Path }

// NewPlan makes a plan of paths that all stream.
func NewPlan(paths []*Path) *Plan { return &Plan{paths: paths} }

// Stream looks the values of a plan up in a body and reads no further than the
// value asked for. The zero value is ready for Reset.
type Stream struct {
	plan  *Plan
	scan  scanner
	slots []slot
	index []int // of the last element, for each open array
	key   token // of the member whose value comes next
	err   error
	done  bool
}

type slotState uint8

const (
	pending  slotState = iota
	firstOf            // an array was found: its first element is the value
	inObject           // that is the value
	found
)

// slot is what is known of the value of a path.
type slot struct {
	state slotState
	// matched counts the leading steps of the path that the open containers match.
	matched int
	depth   int // how many containers were open before the value
	kind    tokenKind
	escaped bool
	value   span
}

// Reset begins a new body.
func (s *Stream) Reset(plan *Plan, body []byte, limits Limits) {
	s.plan, s.err, s.done, s.key = plan, nil, false, token{}
	s.scan.reset(body, limits)
	s.index = s.index[:0]
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
	switch at := &s.slots[i]; {
	case at.state != found:
		return "", s.err
	case at.kind == objectStart:
		return compact(at.value.of(s.scan.body)), nil
	default:
		return scalarText(at.kind, at.escaped, at.value.of(s.scan.body)), nil
	}
}

// step reads one token.
func (s *Stream) step() {
	depth := len(s.scan.open)
	tok, err := s.scan.next()
	if err != nil {
		s.err = err
		return
	}
	switch tok.kind {
	case endOfBody:
		s.done = true
	case memberKey:
		s.key = tok
	case objectEnd, arrayEnd:
		s.leave(tok)
	default:
		s.enter(tok, depth)
		s.key = token{}
	}
}

// enter looks for the paths that a value matches; depth containers are around it.
func (s *Stream) enter(tok token, depth int) {
	index := 0
	if depth > 0 && s.key.kind != memberKey {
		s.index[depth-1]++
		index = s.index[depth-1]
	}
	for i := range s.slots {
		at := &s.slots[i]
		switch {
		case at.state == firstOf && depth == at.depth+1:
			at.take(tok, depth)
		case at.state == pending && s.matches(at, s.plan.paths[i].form, tok, depth, index):
			at.take(tok, depth)
		}
	}
	if tok.kind == objectStart || tok.kind == arrayStart {
		s.index = append(s.index[:depth], -1)
	}
}

// take begins or completes the value.
func (at *slot) take(tok token, depth int) {
	at.state, at.depth = found, depth
	at.kind, at.escaped, at.value = tok.kind, tok.escaped, tok.data
	switch tok.kind {
	case arrayStart:
		at.state = firstOf
	case objectStart:
		at.state = inObject
	}
}

// matches tells that the path ends at the value, and notes that a container
// goes along with it.
func (s *Stream) matches(at *slot, f form, tok token, depth, index int) bool {
	if f.anywhere != "" {
		return s.key.kind == memberKey && sameKey(s.key.data.of(s.scan.body), s.key.escaped, f.anywhere)
	}
	if depth == 0 {
		return len(f.steps) == 0
	}
	if at.matched != depth-1 || depth > len(f.steps) || !s.stepMatches(f.steps[depth-1], index) {
		return false
	}
	if depth == len(f.steps) {
		return true
	}
	if tok.kind == objectStart || tok.kind == arrayStart {
		at.matched = depth
	}
	return false
}

func (s *Stream) stepMatches(step formStep, index int) bool {
	if s.key.kind != memberKey {
		return step.element && step.index == index
	}
	return !step.element && sameKey(s.key.data.of(s.scan.body), s.key.escaped, step.name)
}

// leave ends the values and matches of the container that closes.
func (s *Stream) leave(tok token) {
	depth := len(s.scan.open)
	for i := range s.slots {
		at := &s.slots[i]
		switch {
		case at.state == pending && at.matched == depth && depth > 0:
			at.matched--
		case at.state == firstOf && at.depth == depth:
			at.state, at.kind = found, nullValue // An empty list is nothing.
		case at.state == inObject && at.depth == depth:
			at.state, at.value.to = found, tok.data.to
		}
	}
}
