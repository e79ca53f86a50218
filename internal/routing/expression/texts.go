package expression

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// characters says how long a text is.
func characters(text string) string {
	if n := utf8.RuneCountInString(text); n != 1 {
		return fmt.Sprintf("%d characters", n)
	}
	return "1 character"
}

// offset is where the nth character begins; n may be the length. It is
// negative when the text is shorter.
func offset(text string, n int) int {
	if n < 0 || n > len(text) {
		return -1
	}
	at := 0
	for ; n > 0; n-- {
		if at == len(text) {
			return -1
		}
		_, size := utf8.DecodeRuneInString(text[at:])
		at += size
	}
	return at
}

func length(text string) (int, error) { return utf8.RuneCountInString(text), nil }

func substringFrom(text string, from int) (string, error) {
	at := offset(text, from)
	if at < 0 {
		return "", fmt.Errorf("substring(%d) is out of range of %s", from, characters(text))
	}
	return text[at:], nil
}

func substring(text string, from, to int) (string, error) {
	part, ok := between(text, from, to)
	if !ok {
		return "", fmt.Errorf("substring(%d, %d) is out of range of %s", from, to, characters(text))
	}
	return part, nil
}

func between(text string, from, to int) (string, bool) {
	begin := offset(text, from)
	if begin < 0 || to < from {
		return "", false
	}
	length := offset(text[begin:], to-from)
	if length < 0 {
		return "", false
	}
	return text[begin : begin+length], true
}

func sliceFrom(text string, from int) (string, error) {
	at := offset(text, fromEnd(text, from))
	if at < 0 {
		return "", fmt.Errorf("[%d:] is out of range of %s", from, characters(text))
	}
	return text[at:], nil
}

func slice(text string, from, to int) (string, error) {
	part, ok := between(text, fromEnd(text, from), fromEnd(text, to))
	if !ok {
		return "", fmt.Errorf("[%d:%d] is out of range of %s", from, to, characters(text))
	}
	return part, nil
}

// computedPlace lets only literals count from the end.
func computedPlace(at int) (int, error) {
	if at < 0 {
		return 0, fmt.Errorf("the computed place %d is out of range", at)
	}
	return at, nil
}

// fromEnd resolves a negative place, which counts from the end.
func fromEnd(text string, at int) int {
	if at < 0 {
		return at + utf8.RuneCountInString(text)
	}
	return at
}

func character(text string, at int) (string, error) {
	part, ok := between(text, fromEnd(text, at), fromEnd(text, at)+1)
	if !ok {
		return "", fmt.Errorf("[%d] is out of range of %s", at, characters(text))
	}
	return part, nil
}

func charAt(text string, at int) (string, error) {
	part, ok := between(text, at, at+1)
	if !ok {
		return "", fmt.Errorf("charAt(%d) is out of range of %s", at, characters(text))
	}
	return part, nil
}

func indexOf(text, part string) (int, error) { return place(text, strings.Index(text, part)), nil }

func lastIndexOf(text, part string) (int, error) {
	return place(text, strings.LastIndex(text, part)), nil
}

// place is a byte offset as the number of a character; -1 stays.
func place(text string, at int) int {
	if at < 0 {
		return at
	}
	return utf8.RuneCountInString(text[:at])
}

// indexOfFrom looks from a place on; as in Java every place is allowed.
func indexOfFrom(text, part string, from int) (int, error) {
	from = max(from, 0)
	at := offset(text, from)
	if at < 0 {
		at = len(text)
		from = utf8.RuneCountInString(text)
	}
	found := place(text[at:], strings.Index(text[at:], part))
	if found < 0 {
		return found, nil
	}
	return from + found, nil
}

func lower(text string) (string, error) { return strings.ToLower(text), nil }
func upper(text string) (string, error) { return strings.ToUpper(text), nil }
func trim(text string) (string, error)  { return strings.TrimSpace(text), nil }

func trimCharacters(text, cutset string) (string, error) { return strings.Trim(text, cutset), nil }
func trimPrefix(text, prefix string) (string, error)     { return strings.TrimPrefix(text, prefix), nil }

func trimSuffix(text, suffix string) (string, error) { return strings.TrimSuffix(text, suffix), nil }

// trimJava cuts what Java's trim does: characters up to the blank.
func trimJava(text string) (string, error) {
	return strings.TrimFunc(text, func(r rune) bool { return r <= ' ' }), nil
}

func equalsIgnoreCase(a, b string) (bool, error) { return strings.EqualFold(a, b), nil }
func contains(text, part string) (bool, error)   { return strings.Contains(text, part), nil }
func startsWith(text, part string) (bool, error) { return strings.HasPrefix(text, part), nil }
func endsWith(text, part string) (bool, error)   { return strings.HasSuffix(text, part), nil }
func isEmpty(text string) (bool, error)          { return text == "", nil }

func isBlank(text string) (bool, error) {
	return strings.IndexFunc(text, func(r rune) bool { return !unicode.IsSpace(r) }) < 0, nil
}

var errTooLong = fmt.Errorf("the result is longer than %d bytes", maxText)

func concat(a ...any) (any, error) {
	size := 0
	for _, part := range a {
		size += len(part.(string))
	}
	if size > maxText {
		return nil, errTooLong
	}
	var all strings.Builder
	all.Grow(size)
	for _, part := range a {
		all.WriteString(part.(string))
	}
	return all.String(), nil
}

func repeat(text string, times int) (string, error) {
	if times < 0 {
		return "", fmt.Errorf("repeat(%d) of %s: the number is negative", times, characters(text))
	}
	if len(text) > 0 && times > maxText/len(text) {
		return "", errTooLong
	}
	return strings.Repeat(text, times), nil
}

func replace(text, old, with string) (string, error) { return replaceFew(text, old, with, -1) }

func replaceFew(text, old, with string, most int) (string, error) {
	if grown := len(with) - len(old); grown > 0 {
		times := strings.Count(text, old)
		if len(text) > maxText || times > (maxText-len(text))/grown {
			return "", errTooLong
		}
	}
	return strings.Replace(text, old, with, most), nil
}

func quotient(a, b int) (int, error) {
	if b == 0 {
		return 0, errors.New("division by zero")
	}
	return a / b, nil
}

func remainder(a, b int) (int, error) {
	if b == 0 {
		return 0, errors.New("division by zero")
	}
	return a % b, nil
}

func intOf(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("int() of %s that are no whole number", characters(text))
	}
	return n, nil
}
