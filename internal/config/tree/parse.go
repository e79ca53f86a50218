package tree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds a configuration file, and what ${file:} puts in place.
const maxFile = 16 << 20

// ReadFile reads a file of at most 16 MiB, and refuses what has no end.
func ReadFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if info.Mode()&(fs.ModeDir|fs.ModeDevice) != 0 {
		return nil, errors.New("it is no file")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = errors.New("it is larger than 16 MiB")
	}
	return data, err
}

// parse turns a file into the YAML node of its mapping, nil when there is none.
func (t *Tree) parse(file string) *yaml.Node {
	data, err := t.opts.ReadFile(file)
	if err != nil {
		t.unreadable(Place{File: file}, "reading the file: "+cause(err), "")
		return nil
	}
	data, ok := t.decodable(file, data)
	if !ok {
		return nil
	}
	t.sources[file] = strings.Split(string(data), "\n")
	return t.document(file, data)
}

// cause is an error without the name of the file, which the place has.
func cause(err error) string {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err.Error()
	}
	return err.Error()
}

// unreadable reports a file that is lost as a whole: keys may be missing for it.
func (t *Tree) unreadable(at Place, text, hint string) {
	t.lost = true
	t.problems = append(t.problems, Problem{Place: at, Text: text, Hint: hint})
}

// decodable checks the encoding and takes a byte order mark away.
func (t *Tree) decodable(file string, data []byte) ([]byte, bool) {
	const hint = "save it as UTF-8"
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		t.unreadable(Place{File: file, Line: 1, Column: 1}, "the file is UTF-16", hint)
		return nil, false
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	for i, line := range bytes.Split(data, []byte("\n")) {
		if !utf8.Valid(line) {
			at := Place{File: file, Line: i + 1, Column: utf8.RuneCount(line[:validPrefix(line)]) + 1}
			t.unreadable(at, "the file is not UTF-8", hint)
			return nil, false
		}
	}
	return data, true
}

// validPrefix is the number of bytes before the first that is not UTF-8.
func validPrefix(line []byte) int {
	n := 0
	for n < len(line) {
		r, size := utf8.DecodeRune(line[n:])
		if r == utf8.RuneError && size <= 1 {
			break
		}
		n += size
	}
	return n
}

// document parses the one document of a file.
func (t *Tree) document(file string, data []byte) *yaml.Node {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	doc, err := nextDocument(decoder)
	switch {
	case errors.Is(err, io.EOF):
		t.warn(Place{File: file, Line: 1, Column: 1}, "", "the file is empty", "")
		return nil
	case err != nil:
		t.syntaxError(file, data, err)
		return nil
	}
	root := doc.Content[0]
	second, err := nextDocument(decoder)
	switch {
	case err == nil:
		at := Place{File: file, Line: second.Line, Column: second.Column}
		t.unreadable(at, "the file has more than one YAML document", "make it one, without the line ---, or several files")
		return nil
	case !errors.Is(err, io.EOF):
		t.syntaxError(file, data, err)
		return nil
	case isNull(root):
		t.warn(Place{File: file, Line: 1, Column: 1}, "", "the file is empty", "")
		return nil
	case root.Kind != yaml.MappingNode:
		t.unreadable(Place{File: file, Line: root.Line, Column: root.Column}, "the file is no block of keys", "write key: value")
		return nil
	}
	return root
}

// nextDocument reads a document. The library panics on some malformed input.
func nextDocument(decoder *yaml.Decoder) (doc *yaml.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	doc = &yaml.Node{}
	if err := decoder.Decode(doc); err != nil {
		return nil, err
	}
	return doc, nil
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// yamlLine is how the library tells the line; it has no other way.
var yamlLine = regexp.MustCompile(`^line (\d+): `)

// syntaxError reports what the YAML library said, at the best place known.
func (t *Tree) syntaxError(file string, data []byte, err error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	at := Place{File: file, Line: 1, Column: 1}
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		at.Line, _ = strconv.Atoi(m[1])
		at.Column = 0
		text = text[len(m[0]):]
	}
	hint := "quote values that begin with a special character, and look at the line before, too"
	if m := anchorName.FindStringSubmatch(text); m != nil && at.Line == 1 {
		at = placeOf(file, data, "*"+m[2])
	}
	if line, column := tabIndent(data, at.Line); line > 0 {
		at.Line, at.Column, hint = line, column, "indent with spaces: YAML forbids tabs there"
	}
	t.unreadable(at, "reading YAML: "+harmless(text), hint)
}

// anchorName is the one piece of a file that the library quotes; it is a password
// when that begins with an asterisk and has no quotes.
var anchorName = regexp.MustCompile(`(anchor|tag) '(.*)'`)

func harmless(text string) string { return anchorName.ReplaceAllString(text, "$1") }

// placeOf finds the first place of a text.
func placeOf(file string, data []byte, text string) Place {
	before, _, found := bytes.Cut(data, []byte(text))
	if !found {
		return Place{File: file, Line: 1, Column: 1}
	}
	lineStart := bytes.LastIndexByte(before, '\n') + 1
	return Place{File: file, Line: bytes.Count(before, []byte("\n")) + 1, Column: utf8.RuneCount(before[lineStart:]) + 1}
}

// tabIndent finds the line that is indented with a tab, at or beside line near.
func tabIndent(data []byte, near int) (line, column int) {
	for i, l := range bytes.Split(data, []byte("\n")) {
		indent := l[:len(l)-len(bytes.TrimLeft(l, " \t"))]
		tab := bytes.IndexByte(indent, '\t')
		if tab >= 0 && len(indent) < len(l) && i+1 >= near-1 && i+1 <= near+1 {
			return i + 1, tab + 1
		}
	}
	return 0, 0
}
