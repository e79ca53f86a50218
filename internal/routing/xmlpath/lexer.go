package xmlpath

import (
	"strings"
	"unicode/utf8"
)

type lexemeKind uint8

const (
	lexEnd      lexemeKind = iota
	lexName                // also with a prefix, or prefix:*
	lexOperator            // and or mod div * + - = != < <= > >= | / //
	lexPunct               // ( ) [ ] . .. @ , ::
	lexNumber
	lexLiteral
)

// lexeme is a token of an expression.
type lexeme struct {
	kind lexemeKind
	text string // of a literal without its quotes
	at   int    // byte offset
}

// problem is what is wrong with an expression, and where.
type problem struct {
	at      int
	problem string
}

// lex cuts an expression into lexemes. By XPath 1.0, 3.7, a name or a star
// is an operator where an operand stands before it.
func lex(text string) ([]lexeme, *problem) {
	var all []lexeme
	for at := 0; ; {
		for at < len(text) && isSpace(text[at]) {
			at++
		}
		if at == len(text) {
			return append(all, lexeme{kind: lexEnd, at: at}), nil
		}
		l, length, err := lexOne(text, at)
		if err != nil {
			return nil, err
		}
		if afterOperand(all) && (l.text == "*" || isOperatorName(l)) {
			l.kind = lexOperator
		}
		all = append(all, l)
		at += length
	}
}

func isOperatorName(l lexeme) bool {
	return l.kind == lexName && (l.text == "and" || l.text == "or" || l.text == "mod" || l.text == "div")
}

// afterOperand tells that the last lexeme may end an operand.
func afterOperand(all []lexeme) bool {
	if len(all) == 0 {
		return false
	}
	switch last := all[len(all)-1]; last.kind {
	case lexOperator:
		return false
	case lexPunct:
		return last.text == ")" || last.text == "]" || last.text == "." || last.text == ".."
	default:
		return true
	}
}

func lexOne(text string, at int) (lexeme, int, *problem) {
	rest := text[at:]
	switch c := rest[0]; {
	case c == '"' || c == '\'':
		end := strings.IndexByte(rest[1:], c)
		if end < 0 {
			return lexeme{}, 0, &problem{at, "the text does not end"}
		}
		return lexeme{lexLiteral, rest[1 : 1+end], at}, end + 2, nil
	case isDigit(c) || c == '.' && len(rest) > 1 && isDigit(rest[1]):
		length := numberLength(rest)
		return lexeme{lexNumber, rest[:length], at}, length, nil
	case c == '$':
		return lexeme{}, 0, &problem{at, "variables ($name) are not supported"}
	}
	for _, symbol := range []string{"::", "..", "//", "!=", "<=", ">="} {
		if strings.HasPrefix(rest, symbol) {
			return lexeme{symbolKind(symbol), symbol, at}, 2, nil
		}
	}
	if strings.IndexByte("()[].@,+-=<>|/", rest[0]) >= 0 {
		return lexeme{symbolKind(rest[:1]), rest[:1], at}, 1, nil
	}
	if rest[0] == '*' {
		return lexeme{lexName, "*", at}, 1, nil
	}
	return lexNamed(rest, at)
}

func symbolKind(symbol string) lexemeKind {
	switch symbol {
	case "(", ")", "[", "]", ".", "..", "@", ",", "::":
		return lexPunct
	default:
		return lexOperator
	}
}

// lexNamed reads a name, prefix:name or prefix:*; two colons end it.
func lexNamed(rest string, at int) (lexeme, int, *problem) {
	length := plainNameLength(rest)
	if length == 0 {
		r, _ := utf8.DecodeRuneInString(rest)
		return lexeme{}, 0, &problem{at, "unexpected character " + string(r)}
	}
	if after := rest[length:]; len(after) > 1 && after[0] == ':' && after[1] != ':' {
		if after[1] == '*' {
			length += 2
		} else if more := plainNameLength(after[1:]); more > 0 {
			length += 1 + more
		}
	}
	return lexeme{lexName, rest[:length], at}, length, nil
}

// plainNameLength is the length of a name without a colon.
func plainNameLength(text string) int {
	length := 0
	for length < len(text) && text[length] != ':' {
		size := nameCharacter([]byte(text[length:]), length == 0)
		if size == 0 {
			break
		}
		length += size
	}
	return length
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// numberLength is the length of digits, with one point among them.
func numberLength(text string) int {
	length, point := 0, false
	for length < len(text) && (isDigit(text[length]) || text[length] == '.' && !point) {
		point = point || text[length] == '.'
		length++
	}
	return length
}
