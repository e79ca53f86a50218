package expression

import (
	"fmt"
	"strings"
	"unicode"
)

// normalized is a source as the parser of expr takes it.
type normalized struct {
	text string
	// origins are the places in the source, for each character of text.
	origins []int
}

// locate turns a place in the text into one in the source.
func (n *normalized) locate(p *problem) *problem {
	at := p.at
	if at >= len(n.origins) {
		at = len(n.origins) - 1
	}
	if at < 0 {
		return &problem{0, p.text}
	}
	return &problem{n.origins[at], p.text}
}

// tokens walks over a source, copying it as far as expr knows its tokens.
type tokens struct {
	source []rune
	at     int
	out    strings.Builder
	from   []int
	// operand says that the last token may end an operand, member that it was
	// a dot.
	operand, member bool
}

// normalize rewrites what the parser of expr refuses: SpEL's operators in
// letters, doubled quotes and unknown escapes in texts. It refuses the
// constructs of SpEL that have no counterpart, by name.
func normalize(source string) (*normalized, *problem) {
	t := &tokens{source: []rune(source)}
	for t.at < len(t.source) {
		if err := t.token(); err != nil {
			return nil, err
		}
	}
	// The place behind the source, where a missing token is reported.
	return &normalized{t.out.String(), append(t.from, max(len(t.source)-1, 0))}, nil
}

func (t *tokens) peek(ahead int) rune {
	if t.at+ahead < len(t.source) {
		return t.source[t.at+ahead]
	}
	return 0
}

// emit writes text that stands for the source from begin on.
func (t *tokens) emit(text string, begin int) {
	for i, r := range []rune(text) {
		t.out.WriteRune(r)
		t.from = append(t.from, min(begin+i, max(t.at-1, begin)))
	}
}

// copy writes the next n characters as they are.
func (t *tokens) copy(n int) {
	begin := t.at
	t.at += n
	t.emit(string(t.source[begin:t.at]), begin)
}

func (t *tokens) token() *problem {
	switch c := t.peek(0); {
	case unicode.IsSpace(c):
		t.at++
		t.emit(" ", t.at-1)
		return nil
	case c == '\'' || c == '"' || c == '`':
		return t.text(c)
	case c == '/' && (t.peek(1) == '/' || t.peek(1) == '*'):
		return t.comment()
	case isNameStart(c) && !t.begins("${"):
		return t.name()
	case c >= '0' && c <= '9':
		t.number()
		return nil
	default:
		return t.symbol(c)
	}
}

// comment reads over // to the end of the line, or /* to */.
func (t *tokens) comment() *problem {
	begin, block := t.at, t.peek(1) == '*'
	for t.at += 2; t.at < len(t.source); t.at++ {
		if !block && t.peek(0) == '\n' {
			break
		}
		if block && t.begins("*/") {
			t.at += 2
			t.emit(" ", begin)
			return nil
		}
	}
	if block {
		return &problem{begin, "the comment does not end"}
	}
	t.emit(" ", begin)
	return nil
}

func isNameStart(c rune) bool { return c == '_' || c == '$' || unicode.IsLetter(c) }
func isName(c rune) bool      { return isNameStart(c) || unicode.IsDigit(c) }

func (t *tokens) number() {
	begin := t.at
	for isName(t.peek(0)) || t.peek(0) == '.' && t.peek(1) >= '0' && t.peek(1) <= '9' {
		t.at++
	}
	t.emit(string(t.source[begin:t.at]), begin)
	t.operand, t.member = true, false
}

// wordOperators are SpEL's operators in letters, without case.
var wordOperators = map[string]string{
	"eq": "==", "ne": "!=", "lt": "<", "gt": ">", "le": "<=", "ge": ">=", "div": "/", "mod": "%",
	"and": "and", "or": "or",
}

// infix are operators in letters that expr knows.
var infix = map[string]bool{
	"in": true, "matches": true, "contains": true, "startsWith": true, "endsWith": true, "not": true,
}

func (t *tokens) name() *problem {
	begin := t.at
	for isName(t.peek(0)) {
		t.at++
	}
	word := string(t.source[begin:t.at])
	switch {
	case t.member:
		t.emit(word, begin)
		t.operand, t.member = true, false
		return nil
	case t.operand:
		return t.infix(word, begin)
	default:
		return t.operandName(word, begin)
	}
}

// infix writes a name that stands where an operator must.
func (t *tokens) infix(word string, begin int) *problem {
	if symbol, ok := wordOperators[strings.ToLower(word)]; ok {
		word = " " + symbol + " "
	} else if word == "instanceof" || word == "between" {
		return &problem{begin, fmt.Sprintf("the operator %s is not supported; compare with ==, < or >", word)}
	}
	t.emit(word, begin)
	t.operand = false
	return nil
}

// operandName writes a name that stands where a value must.
func (t *tokens) operandName(word string, begin int) *problem {
	next := t.afterSpace()
	switch {
	case word == "T" && next == '(':
		return &problem{begin, "T(...) is not supported: expressions have no classes, only texts and their methods"}
	case word == "new" && isNameStart(next):
		return &problem{begin, "new is not supported: expressions have no classes, only texts and their methods"}
	case word == "let" && isNameStart(next):
		return &problem{begin, "assignments (let) are not supported; declare a variable of the route instead"}
	case strings.HasPrefix(word, "$"):
		return &problem{begin, fmt.Sprintf("%s is not supported; variables are read by their names, as in variables['SCName']", word)}
	case strings.EqualFold(word, "not"):
		word = "not"
	case strings.EqualFold(word, "null"):
		word = "nil"
	case strings.EqualFold(word, "true"), strings.EqualFold(word, "false"):
		word = strings.ToLower(word)
	}
	t.emit(word, begin)
	t.operand = word != "not" && !infix[word]
	return nil
}

// afterSpace is the next character that is no blank.
func (t *tokens) afterSpace() rune {
	for ahead := 0; ; ahead++ {
		if c := t.peek(ahead); c == 0 || !unicode.IsSpace(c) {
			return c
		}
	}
}

// refusals are constructs of SpEL, and of expr, by how they begin. The first
// that fits is reported.
var refusals = []struct{ begin, why string }{
	{".![", "projection (.![...]) is not supported: a variable is one text; write a rule that finds it"},
	{".?[", "selection (.?[...]) is not supported: a variable is one text; write a rule that finds it"},
	{"?.![", "projection (?.![...]) is not supported: a variable is one text; write a rule that finds it"},
	{"?.?[", "selection (?.?[...]) is not supported: a variable is one text; write a rule that finds it"},
	{".^[", "selection (.^[...]) is not supported: a variable is one text; write a rule that finds it"},
	{".$[", "selection (.$[...]) is not supported: a variable is one text; write a rule that finds it"},
	{"#{", "templates (#{...}) are not supported; write the expression without them"},
	{"${", "placeholders (${...}) are resolved when the configuration loads; this one is left over"},
	{"#", "#var is not supported; write value or variables['SCName']"},
	{"@", "@bean is not supported: expressions see the message only"},
	{";", "only one expression is allowed; declare variables of the route for the others"},
	{"{", "braces are not supported; write cond ? a : b, or ['a', 'b'] for a list"},
	{"++", "++ is not supported: expressions change nothing"},
	{"+=", "assignments (+=) are not supported: expressions change nothing"},
	{"-=", "assignments (-=) are not supported: expressions change nothing"},
}

// pairs are symbols of two characters that are copied as one.
var pairs = []string{"==", "!=", "<=", ">=", "&&", "||", "??", "?.", "**", ".."}

func (t *tokens) symbol(c rune) *problem {
	for _, r := range refusals {
		if t.begins(r.begin) {
			return &problem{t.at, r.why}
		}
	}
	length := 1
	for _, pair := range pairs {
		if t.begins(pair) {
			length = 2
		}
	}
	if length == 1 && c == '=' {
		return &problem{t.at, "assignments (=) are not supported; == compares"}
	}
	if length == 1 && c == '&' {
		return &problem{t.at, "& is not supported; && joins conditions"}
	}
	t.member = c == '.' && length == 1 || t.begins("?.")
	t.operand = c == ')' || c == ']'
	t.copy(length)
	return nil
}

func (t *tokens) begins(text string) bool {
	for i, r := range []rune(text) {
		if t.peek(i) != r {
			return false
		}
	}
	return true
}
