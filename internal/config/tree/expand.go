package tree

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// expander replaces ${NAME}, ${NAME:default} and ${file:/path} in texts.
type expander struct {
	variables map[string]string
	readFile  func(name string) ([]byte, error)
	// depth counts the defaults that this expander is in.
	depth int
}

// placeholderError is a placeholder that can't be replaced. Its text may hold
// pieces of a secret; offset, in bytes, does not.
type placeholderError struct {
	offset int
	hint   string
	err    error
}

func (e *placeholderError) Error() string { return e.err.Error() }

const literalHint = "write $${ where ${ is meant literally"

// expand replaces the placeholders of text. What it puts in place is not looked at
// again; defaults are.
func (x expander) expand(text string) (string, *placeholderError) {
	var out strings.Builder
	for done := 0; ; {
		i := strings.Index(text[done:], "${")
		if i < 0 {
			out.WriteString(text[done:])
			return out.String(), nil
		}
		i += done
		if i > done && text[i-1] == '$' {
			out.WriteString(text[done:i-1] + "${")
			done = i + 2
			continue
		}
		end := closing(text, i+2)
		if end < 0 {
			return "", &placeholderError{offset: i, hint: literalHint, err: errors.New("${ has no closing brace")}
		}
		value, err := x.placeholder(text[i+2 : end])
		if err != nil {
			err.offset = i
			return "", err
		}
		out.WriteString(text[done:i] + value)
		done = end + 1
	}
}

// closing finds the brace that closes a placeholder whose inside begins at start;
// -1 when there is none.
func closing(text string, start int) int {
	open := 1
	for i := start; i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], "${"):
			open++
		case text[i] == '}':
			if open--; open == 0 {
				return i
			}
		}
	}
	return -1
}

// maxNesting bounds placeholders in the defaults of placeholders.
const maxNesting = 10

func (x expander) placeholder(inside string) (string, *placeholderError) {
	if path, ok := strings.CutPrefix(inside, "file:"); ok {
		data, err := x.readFile(strings.TrimSpace(path))
		if err != nil {
			return "", &placeholderError{err: fmt.Errorf("reading the file %q: %s", path, cause(err))}
		}
		return strings.TrimRight(string(data), "\r\n"), nil
	}
	name, fallback, hasFallback := strings.Cut(inside, ":")
	if value, ok := x.variables[name]; ok {
		return value, nil
	}
	if !hasFallback {
		return "", &placeholderError{
			err:  fmt.Errorf("the environment variable %q is not set", name),
			hint: "set it, or give a default: ${NAME:default}",
		}
	}
	if x.depth++; x.depth > maxNesting {
		return "", &placeholderError{err: fmt.Errorf("placeholders are nested more than %d deep", maxNesting)}
	}
	return x.expand(fallback)
}

// wholeVariable is a value that is nothing but one placeholder without a default, so
// that its text can't be part of a secret.
var wholeVariable = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*|file:[^{}]*)\}$`)

// substitute replaces the placeholders in a scalar and keeps what was written. What
// can't be replaced is reported, and the scalar broken.
func (t *Tree) substitute(n *node, s *schema, path string) bool {
	if n.broken || n.written != "" {
		return !n.broken
	}
	n.written = n.text
	if t.opts.Literal || !strings.Contains(n.text, "${") {
		return true
	}
	text, err := expander{variables: t.variables, readFile: t.opts.ReadFile}.expand(n.text)
	if err == nil {
		n.text, n.substituted = text, true
		return true
	}
	n.broken = true
	what, hint := err.Error(), err.hint
	if s.secret && !wholeVariable.MatchString(n.written) {
		what, hint = "a placeholder ${} in the secret can't be replaced", literalHint
	}
	t.fail(t.inside(n, err.offset), path, what, hint)
	return false
}
