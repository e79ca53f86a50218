package tree

import (
	"strings"
	"unicode/utf8"
)

// excerptWidth is how much of a long line an excerpt shows on either side.
const excerptWidth = 60

// inside is the place of a byte offset in the value of n as written, as far as the
// source shows it letter by letter; else the place of the value.
func (t *Tree) inside(n *node, offset int) Place {
	at := n.at
	if start, ok := t.verbatim(n); ok {
		at.Column = start + utf8.RuneCountInString(n.written[:offset]) + 1
	}
	return at
}

// verbatim tells whether the text of n stands in its line as it is, without escapes
// and line breaks, and at which rune it begins.
func (t *Tree) verbatim(n *node) (start int, ok bool) {
	line := t.line(n.at)
	if n.written == "" || n.at.Column < 1 || n.at.Column > len(line) {
		return 0, false
	}
	start = n.at.Column - 1
	if line[start] == '"' || line[start] == '\'' {
		start++
	}
	return start, strings.HasPrefix(string(line[start:]), n.written)
}

// line is the line of a place, in runes; empty where there is none.
func (t *Tree) line(at Place) []rune {
	lines := t.sources[at.File]
	if at.Line < 1 || at.Line > len(lines) {
		return nil
	}
	return []rune(lines[at.Line-1])
}

// excerpt shows the value of n, with its key where both are on one line, and a caret
// under the character offset. Nothing else of the line is shown: it may be a secret.
func (t *Tree) excerpt(n *node, offset int) (string, Place) {
	at, shownText := n.at, []rune(n.text)
	offset = min(offset, len(shownText))
	caret := offset
	if start, ok := t.verbatim(n); ok && !n.substituted {
		line := t.line(n.at)
		at.Column = start + offset + 1
		from := n.at.Column - 1
		if n.keyAt.Line == n.at.Line && n.keyAt.Column >= 1 && n.keyAt.Column-1 < from {
			from = n.keyAt.Column - 1
		}
		end := start + len(shownText)
		if end < len(line) && start > n.at.Column-1 {
			end++
		}
		caret, shownText = start+offset-from, line[from:end]
	} else {
		shownText, caret = lineAround(shownText, caret)
	}
	return underline(shownText, caret), at
}

// lineAround is the line of a text that the caret stands in.
func lineAround(text []rune, caret int) ([]rune, int) {
	from, to := caret, caret
	for from > 0 && text[from-1] != '\n' {
		from--
	}
	for to < len(text) && text[to] != '\n' {
		to++
	}
	return text[from:to], caret - from
}

// underline puts a caret below a rune of a line, which is cut on both sides.
func underline(line []rune, caret int) string {
	const indent = "    "
	prefix, suffix := "", ""
	if caret > excerptWidth {
		line, caret, prefix = line[caret-excerptWidth:], excerptWidth, "…"
	}
	if len(line) > caret+excerptWidth {
		line, suffix = line[:caret+excerptWidth], "…"
	}
	for i, r := range line {
		if r < ' ' {
			line[i] = ' '
		}
	}
	caret += utf8.RuneCountInString(prefix)
	return indent + prefix + string(line) + suffix + "\n" + indent + strings.Repeat(" ", caret) + "^"
}
