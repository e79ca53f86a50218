package expression

import "mqgateway/internal/flow"

// Scope is what the expressions of one message read. It belongs to one
// goroutine, and is ready after Reset, every time.
type Scope struct {
	message *flow.Message
	// Texts are kept as interface values, as the machine wants them, so that
	// reading one allocates nothing.
	value     any
	variables []any
}

// Reset begins a new message.
func (s *Scope) Reset(m *flow.Message) {
	s.message, s.value = m, ""
	clear(s.variables)
	s.variables = s.variables[:0]
}

// SetValue sets what value reads.
func (s *Scope) SetValue(text string) { s.value = text }

// AddVariable adds the text of the next variable, in the order of
// [Env.Variables]; an empty one has no value.
func (s *Scope) AddVariable(text string) { s.variables = append(s.variables, text) }

func (s *Scope) userHeader(name string) (text string, found bool) {
	for _, h := range s.message.Headers {
		if h.Name == name && !h.Reserved() {
			return h.Text(), true
		}
	}
	return "", false
}
