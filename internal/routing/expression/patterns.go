package expression

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// dialect is how a pattern is meant.
type dialect uint8

const (
	goPattern        dialect = iota // matches a part
	javaPattern                     // the same, in Java's syntax
	javaWholePattern                // matches the whole text
)

// pattern compiles a regular expression, which must be a literal.
func (t *translator) pattern(n ast.Node, d dialect) ast.Node {
	out := t.part(n)
	literal, ok := out.node.(*ast.StringNode)
	if !ok {
		t.fail(n, "a pattern has to be a literal in quotes, so that it is checked when the configuration loads")
	}
	if problem := unsupported(literal.Value, d != goPattern); problem != "" {
		t.fail(n, "the pattern has %s", problem)
	}
	source := literal.Value
	if d == javaWholePattern {
		source = `\A(?:` + source + `)\z`
	}
	compiled, err := regexp.Compile(source)
	if err != nil {
		t.fail(n, "the pattern is broken: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return constant(n, compiled)
}

// refusedGroups begin what Go's linear-time patterns do not have.
var refusedGroups = []struct{ begin, name string }{
	{"(?=", "look-ahead (?=...)"},
	{"(?!", "look-ahead (?!...)"},
	{"(?<=", "look-behind (?<=...)"},
	{"(?<!", "look-behind (?<!...)"},
	{"(?>", "an atomic group (?>...)"},
}

// unsupported names a construct that cannot be had, or that Go would read in
// another way than Java. It is empty for a pattern without one.
func unsupported(pattern string, java bool) string {
	class := 0 // how deep inside [...]
	for i := 0; i < len(pattern); i++ {
		rest := pattern[i:]
		switch c := pattern[i]; {
		case strings.HasPrefix(rest, `\Q`):
			if end := strings.Index(rest, `\E`); end >= 0 {
				i += end + 1
				continue
			}
			return ""
		case c == '\\':
			if len(rest) > 1 && class == 0 && (rest[1] >= '1' && rest[1] <= '9' || rest[1] == 'k') {
				return "a back-reference (" + rest[:2] + "), which is not supported"
			}
			i++
		case c == '[' && class == 0:
			class = 1
			i += classPrefix(rest)
		case c == '[' && strings.HasPrefix(rest, "[:"):
			i += strings.Index(rest, "]")
		case c == '[' && java:
			return "a class inside a class, which is not supported; list the characters in one"
		case c == ']' && class > 0:
			class = 0
		case class > 0 && java && strings.HasPrefix(rest, "&&"):
			return "an intersection of classes (&&), which is not supported; list the characters"
		case class > 0:
		case c == '(':
			for _, group := range refusedGroups {
				if strings.HasPrefix(rest, group.begin) {
					return group.name + ", which is not supported; use groups and $1 in the replacement"
				}
			}
		case c == '+' && i > 0 && isQuantifier(pattern, i-1):
			return "a possessive quantifier, which is not supported; leave the second + away"
		}
	}
	return ""
}

// classPrefix is the length of ^ and of a ] that stands first, which is itself.
func classPrefix(class string) int {
	length := 0
	if strings.HasPrefix(class[1:], "^") {
		length++
	}
	if strings.HasPrefix(class[1+length:], "]") {
		length++
	}
	return length
}

// isQuantifier tells that the character at i repeats what stands before it.
func isQuantifier(pattern string, i int) bool {
	if i > 0 && pattern[i-1] == '\\' {
		return false
	}
	switch pattern[i] {
	case '*', '+', '?':
		return i > 0 && pattern[i-1] != '('
	case '}':
		return true
	default:
		return false
	}
}

// expansion is the replacement of a match in Java's syntax: texts and groups.
type expansion struct {
	text  string
	group int // 0 or more, or -1 for the text
}

// expansions reads $1, ${name} and \$ of a replacement.
func expansions(replacement string, re *regexp.Regexp) ([]expansion, error) {
	var all []expansion
	var plain strings.Builder
	group := func(number int) {
		all = append(all, expansion{plain.String(), -1}, expansion{"", number})
		plain.Reset()
	}
	for i := 0; i < len(replacement); i++ {
		c := replacement[i]
		switch {
		case c == '\\' && i+1 < len(replacement):
			i++
			plain.WriteByte(replacement[i])
		case c == '\\':
			return nil, fmt.Errorf(`the replacement ends with \; write \\`)
		case c == '$':
			number, length, err := groupReference(replacement[i+1:], re)
			if err != nil {
				return nil, err
			}
			group(number)
			i += length
		default:
			plain.WriteByte(c)
		}
	}
	return append(all, expansion{plain.String(), -1}), nil
}

// groupReference reads what follows a $. As in Java, digits belong to the
// number as long as there is such a group.
func groupReference(text string, re *regexp.Regexp) (number, length int, err error) {
	if strings.HasPrefix(text, "{") {
		name, _, closed := strings.Cut(text[1:], "}")
		number = re.SubexpIndex(name)
		if !closed || number < 0 {
			return 0, 0, fmt.Errorf("the replacement names a group ${%s} that the pattern does not have", name)
		}
		return number, len(name) + 2, nil
	}
	for length < len(text) && text[length] >= '0' && text[length] <= '9' {
		longer, _ := strconv.Atoi(text[:length+1]) // Digits, and few: it is within the groups.
		if longer > re.NumSubexp() {
			break
		}
		number = longer
		length++
	}
	if length == 0 {
		return 0, 0, fmt.Errorf(`the replacement has a $ without a group of the pattern; write \$ for the character`)
	}
	return number, length, nil
}
