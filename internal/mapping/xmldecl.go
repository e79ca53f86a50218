package mapping

import (
	"bytes"
	"slices"
	"strings"
)

// maxDeclaration bounds the search for the end of an XML declaration.
const maxDeclaration = 512

const blanks = " \t\r\n"

// declaredEncoding finds the value of encoding in the XML declaration that body
// begins with; start equals end when there is none.
func declaredEncoding(body []byte) (start, end int) {
	at := len(body) - len(bytes.TrimLeft(body, blanks))
	declaration := body[at:min(len(body), at+maxDeclaration)]
	if !bytes.HasPrefix(declaration, []byte("<?xml")) {
		return 0, 0
	}
	stop := bytes.Index(declaration, []byte("?>"))
	name := bytes.Index(declaration, []byte("encoding"))
	if name < 0 || name > stop || !strings.ContainsRune(blanks, rune(declaration[len("<?xml")])) {
		return 0, 0
	}
	start, end = quoted(declaration[:stop], name+len("encoding"))
	return at + start, at + end
}

// quoted finds the text between the quotes of ="text" at an index of s.
func quoted(s []byte, at int) (start, end int) {
	rest := bytes.TrimLeft(s[at:], blanks)
	rest, ok := bytes.CutPrefix(rest, []byte("="))
	rest = bytes.TrimLeft(rest, blanks)
	if !ok || len(rest) == 0 || (rest[0] != '"' && rest[0] != '\'') {
		return 0, 0
	}
	start = len(s) - len(rest) + 1
	length := bytes.IndexByte(rest[1:], rest[0])
	if length < 0 {
		return 0, 0
	}
	return start, start + length
}

// correctDeclaration lets the XML declaration of a text in UTF-8 say so. It
// copies the body where it changes it.
func correctDeclaration(body []byte) []byte {
	start, end := declaredEncoding(body)
	if start == end || isUTF8(string(body[start:end])) {
		return body
	}
	return slices.Concat(body[:start], []byte("UTF-8"), body[end:])
}
