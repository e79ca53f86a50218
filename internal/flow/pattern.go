package flow

import "strings"

// Pattern is a text in which * stands for any run of characters, an empty one
// too. It is a list of the parts between the stars.
type Pattern []string

// NewPattern reads a pattern.
func NewPattern(text string) Pattern { return strings.Split(text, "*") }

// Matches tells whether the whole text is of the pattern.
func (p Pattern) Matches(text string) bool {
	first, last := p[0], p[len(p)-1]
	if len(p) == 1 {
		return text == first
	}
	if len(text) < len(first)+len(last) || !strings.HasPrefix(text, first) || !strings.HasSuffix(text, last) {
		return false
	}
	text = text[len(first) : len(text)-len(last)]
	for _, part := range p[1 : len(p)-1] {
		at := strings.Index(text, part)
		if at < 0 {
			return false
		}
		text = text[at+len(part):]
	}
	return true
}
