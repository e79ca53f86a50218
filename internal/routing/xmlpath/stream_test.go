package xmlpath_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"mqgateway/internal/routing/xmlpath"
)

// streamed finds one value in a stream.
func streamed(t testing.TB, body, path string) string {
	t.Helper()
	var s xmlpath.Stream
	s.Reset(xmlpath.NewPlan([]*xmlpath.Path{compile(t, path)}), []byte(body), xmlpath.Limits{})
	text, err := s.Value(0)
	if err != nil {
		t.Errorf("streaming %s: %v", path, err)
	}
	return text
}

var streamedPaths = []string{
	"local-name(/*)", "//a", "//b", "//p:a", "//a/@x", "//b/@p:x", "//c/@y", "//nope", "//long-name", "//long-name/@y",
}

func plan(t testing.TB) *xmlpath.Plan {
	var all []*xmlpath.Path
	for _, path := range streamedPaths {
		all = append(all, compile(t, path))
	}
	return xmlpath.NewPlan(all)
}

// TestStreamReadsNoFurther breaks bodies right behind the value.
func TestStreamReadsNoFurther(t *testing.T) {
	for _, tt := range []struct{ path, body, want string }{
		{"local-name(/*)", "<?xml version='1.0'?><p:root x='1'>", "root"},
		{"//a", "<r><a>1<b>2</b></a>", "12"},
		{"//a", "<r><a/>", ""},
		{"//a/@x", "<r><a/><a x='1'>", "1"},
	} {
		if got := streamed(t, tt.body+"<<&& broken", tt.path); got != tt.want {
			t.Errorf("%s over %q = %q, want %q", tt.path, tt.body, got, tt.want)
		}
	}
}

func TestStreamError(t *testing.T) {
	var s xmlpath.Stream
	s.Reset(plan(t), []byte("<r><a>1</a><b></r>"), xmlpath.Limits{})
	if got, err := s.Value(1); got != "1" || err != nil {
		t.Errorf("Value = %q, %v, want 1", got, err)
	}
	for range 2 { // A stream stays broken.
		if got, err := s.Value(2); err == nil {
			t.Errorf("Value behind the place that is broken = %q, want an error", got)
		}
	}
	if got, err := s.Value(0); got != "r" || err != nil {
		t.Errorf("Value found before = %q, %v, want r", got, err)
	}
}

// TestStreamFindsWhatTheTreeFinds compares over random bodies, asking in random
// order.
func TestStreamFindsWhatTheTreeFinds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	p := plan(t)
	var s xmlpath.Stream
	for range 3000 {
		var body strings.Builder
		writeElement(&body, random, 0)
		compareAll(t, &s, p, body.String(), random.Perm(len(streamedPaths)))
	}
}

func compareAll(t *testing.T, s *xmlpath.Stream, p *xmlpath.Plan, body string, inOrder []int) {
	t.Helper()
	d, err := xmlpath.Parse([]byte(body), xmlpath.Limits{})
	if err != nil {
		t.Fatalf("Parse(%q): %v", body, err)
	}
	s.Reset(p, []byte(body), xmlpath.Limits{})
	for _, i := range inOrder {
		want, _ := compile(t, streamedPaths[i]).Text(d)
		if got, err := s.Value(i); err != nil || got != want {
			t.Fatalf("%s over %q: streamed %q, %v, from the tree %q", streamedPaths[i], body, got, err, want)
		}
	}
}

func writeElement(out *strings.Builder, random *rand.Rand, depth int) {
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	name := pick("a", "b", "p:a", "c", "long-name", "q:b")
	fmt.Fprintf(out, "<%s", name)
	for _, attribute := range []string{"x", "p:x", "y", "xmlns:p"} {
		if random.IntN(4) == 0 {
			fmt.Fprintf(out, "%s%s=%s", pick(" ", "\n "), attribute, pick("'1'", `"2>"`, "'&lt;&#10;'", "''", "'a\tb'"))
		}
	}
	if random.IntN(5) == 0 {
		out.WriteString("/>")
		return
	}
	out.WriteString(">")
	for range random.IntN(4) {
		if depth < 6 && random.IntN(2) == 0 {
			writeElement(out, random, depth+1)
			continue
		}
		out.WriteString(pick("text", "&amp;", "<![CDATA[</a>]]>", "<![CDATA[]]>", "<!-- <a> -->", "<?p <a>?>", "\r\n", "Ж", " "))
	}
	fmt.Fprintf(out, "</%s>", name)
}

// FuzzBody holds the scanner against encoding/xml, and the stream against the
// tree, for any bytes.
func FuzzBody(f *testing.F) {
	f.Add(order)
	for _, seed := range []string{
		"<a x='1'>&#x41;<![CDATA[x]]></a>", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "\ufeff<?xml version='1.0'?><p:a/>",
		"<a><b></a>", "<a>]]></a>", "<a", "<a><!--", "<a><?p", "<::/>", "<a b:c:d='1'/>",
	} {
		f.Add(seed)
	}
	p := plan(f)
	paths := make([]*xmlpath.Path, len(streamedPaths))
	for i, path := range streamedPaths {
		paths[i] = compile(f, path)
	}
	f.Fuzz(func(t *testing.T, body string) {
		d, err := xmlpath.Parse([]byte(body), xmlpath.Limits{})
		if err == nil && isASCII(body) { // Tables of names differ beyond.
			if strictErr := readStrictly(body); strictErr != nil {
				t.Errorf("a body that encoding/xml refuses is taken: %v", strictErr)
			}
		}
		var s xmlpath.Stream
		s.Reset(p, []byte(body), xmlpath.Limits{})
		for i, path := range paths {
			got, streamErr := s.Value(i)
			if err != nil {
				continue // The stream may have stopped before.
			}
			want, _ := path.Text(d)
			if streamErr != nil || got != want {
				t.Errorf("%s: streamed %q, %v, from the tree %q", path, got, streamErr, want)
			}
		}
		if err != nil && streamedToTheEnd(p, body) {
			t.Errorf("the tree says %v, the stream nothing", err)
		}
	})
}

func isASCII(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

func readStrictly(body string) error {
	d := xml.NewDecoder(strings.NewReader(body))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// streamedToTheEnd looks for what is not there, which reads everything.
func streamedToTheEnd(p *xmlpath.Plan, body string) bool {
	var s xmlpath.Stream
	s.Reset(p, []byte(body), xmlpath.Limits{})
	_, err := s.Value(7)
	return err == nil && !strings.Contains(body, "nope")
}

// FuzzPath compiles and runs any expression.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{
		"local-name(/*)", "//Line[2]/@no", "(//Sum)[last()] | //Id", "count(//*[. > 1]) * -2 div 3", "substring('a',1,2)",
		"//a/ancestor-or-self::node()[position()=2]", "translate(//Id,'0','1')", "//@*", "preceding::*", "..//.",
	} {
		f.Add(seed)
	}
	d, err := xmlpath.Parse([]byte(order), xmlpath.Limits{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := xmlpath.Compile(text)
		if err != nil {
			return
		}
		first, err := p.Text(d)
		again, errAgain := p.Text(d)
		if first != again || (err == nil) != (errAgain == nil) {
			t.Errorf("%q yields %q, then %q", text, first, again)
		}
	})
}
