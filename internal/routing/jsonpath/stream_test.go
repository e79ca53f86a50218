package jsonpath_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"mqgateway/internal/routing/jsonpath"
)

var streamedPaths = []string{
	"$", "$.a", "$.b.a", "$.a[1]", "$[0].b", "$[1][0]", "$..a", "$..b", "$.a.b.c", "$..nope", "$.c[0][0].a", "$..'\u0061'",
}

func plan(t testing.TB) (*jsonpath.Plan, []*jsonpath.Path) {
	var all []*jsonpath.Path
	for _, path := range streamedPaths {
		all = append(all, compile(t, strings.ReplaceAll(path, "'\u0061'", "['\\u0061']")))
	}
	return jsonpath.NewPlan(all), all
}

// TestStreamReadsNoFurther breaks bodies right behind the value.
func TestStreamReadsNoFurther(t *testing.T) {
	for _, tt := range []struct{ path, body, want string }{
		{"$.a", `{"a":"x"`, "x"},
		{"$.a.b", `{"a":{"b":1.50 `, "1.50"},
		{"$..b", `{"a":[{"b":{"c" : 1}`, `{"c":1}`},
		{"$.a", `{"a":[["x"`, "x"},
		{"$.a", `{"a":[]`, ""},
		{"$.a", `{"a":null`, ""},
		{"$[1]", `[{},{"x":1}`, `{"x":1}`},
	} {
		var s jsonpath.Stream
		s.Reset(jsonpath.NewPlan([]*jsonpath.Path{compile(t, tt.path)}), []byte(tt.body+"\x00"), jsonpath.Limits{})
		if got, err := s.Value(0); err != nil || got != tt.want {
			t.Errorf("%s over %q = %q, %v, want %q", tt.path, tt.body, got, err, tt.want)
		}
	}
}

// TestStreamFindsWhatTheTreeFinds compares over random bodies, asking in random
// order.
func TestStreamFindsWhatTheTreeFinds(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	p, paths := plan(t)
	var s jsonpath.Stream
	for range 5000 {
		var out strings.Builder
		writeValue(&out, random, 0)
		body := out.String()
		d := parse(t, body)
		s.Reset(p, []byte(body), jsonpath.Limits{})
		for _, i := range random.Perm(len(paths)) {
			want, _ := paths[i].Text(d)
			if got, err := s.Value(i); err != nil || got != want {
				t.Fatalf("%s over %s: streamed %q, %v, from the tree %q", paths[i], body, got, err, want)
			}
		}
	}
}

func writeValue(out *strings.Builder, random *rand.Rand, depth int) {
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	blank := func() { out.WriteString(pick("", "", " ", "\n")) }
	blank()
	switch kind := random.IntN(4); {
	case depth < 5 && kind < 2:
		out.WriteString([]string{"{", "["}[kind])
		for i := range random.IntN(4) {
			if i > 0 {
				out.WriteString(",")
			}
			blank()
			if kind == 0 {
				fmt.Fprintf(out, "%s:", pick(`"a"`, `"b"`, `"c"`, `"\u0061"`, `"x"`))
			}
			writeValue(out, random, depth+1)
		}
		out.WriteString([]string{"}", "]"}[kind])
	default:
		out.WriteString(pick(`"text"`, `"q\"\\,]}"`, `"Ж"`, "1.50", "-0", "1e5", "true", "false", "null", `""`))
	}
	blank()
}

func TestMalformed(t *testing.T) {
	for _, tt := range []struct {
		name, body, want string
		column           int
	}{
		{"empty", "", "ends inside", 1},
		{"open object", `{"a":1`, "ends inside", 7},
		{"open array", `[1`, "ends inside", 3},
		{"comma at the end", `{"a":1,}`, "key that is not a string", 8},
		{"comma at the end of an array", `[1,]`, "no JSON value", 4},
		{"no comma", `[1 2]`, "missing comma", 4},
		{"wrong end", `[1}`, "missing comma", 3},
		{"wrong end of an object", `{"a":1]`, "missing comma", 7},
		{"no colon", `{"a" 1}`, "without a colon", 6},
		{"no value", `{"a":}`, "no JSON value", 6},
		{"bare key", `{a:1}`, "not a string", 2},
		{"single quotes", `{'a':1}`, "not a string", 2},
		{"text behind", `{} x`, "after the value", 4},
		{"second value", `{}{}`, "after the value", 3},
		{"leading zero", `[01]`, "broken number", 2},
		{"plus", `[+1]`, "no JSON value", 2},
		{"point", `[1.]`, "broken number", 2},
		{"exponent", `[1e]`, "broken number", 2},
		{"minus", `[-]`, "broken number", 2},
		{"NaN", `[NaN]`, "no JSON value", 2},
		{"longer literal", `[nullx]`, "missing comma", 6},
		{"open string", `["a`, "does not end", 2},
		{"control character", "[\"a\nb\"]", "control character", 4},
		{"broken escape", `["\x"]`, "broken escape", 3},
		{"broken unicode escape", `["\u12g4"]`, "broken escape", 3},
		{"not UTF-8", "[\"\xff\"]", "not UTF-8", 3},
		{"too deep", strings.Repeat("[", 129), "deeper than 128", 129},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := jsonpath.Parse([]byte(tt.body), jsonpath.Limits{})
			e, ok := errors.AsType[*jsonpath.SyntaxError](err)
			if !ok || !strings.Contains(e.Problem, tt.want) {
				t.Fatalf("Parse = %v, want %q", err, tt.want)
			}
			if e.Line != 1 && !strings.Contains(tt.body, "\n") || e.Column != tt.column {
				t.Errorf("place = %d:%d, want column %d", e.Line, e.Column, tt.column)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	body := []byte(`{"a":[1,2]}`)
	if _, err := jsonpath.Parse(body, jsonpath.Limits{Nodes: 4, Depth: 2}); err != nil {
		t.Errorf("Parse within the limits: %v", err)
	}
	for _, limits := range []jsonpath.Limits{{Nodes: 3}, {Depth: 1}} {
		if _, err := jsonpath.Parse(body, limits); err == nil {
			t.Errorf("Parse over %+v succeeds", limits)
		}
	}
}

// FuzzBody holds the scanner against encoding/json, and the stream against the
// tree, for any bytes.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{store, `{"a":[{"b":1}]}`, `[1,{"a":"\u0061"}]`, `{"a":1}x`, `[1e5,-0.1]`, "\ufeff{}", `{"a":{"a":null},"a":[[]]}`} {
		f.Add(seed)
	}
	p, paths := plan(f)
	f.Fuzz(func(t *testing.T, body string) {
		d, err := jsonpath.Parse([]byte(body), jsonpath.Limits{})
		plainBody := strings.TrimPrefix(body, "\ufeff")
		if valid := json.Valid([]byte(plainBody)); err == nil && !valid {
			t.Errorf("a body that encoding/json refuses is taken")
		} else if err != nil && valid && !strings.Contains(err.Error(), "UTF-8") && !strings.Contains(err.Error(), "deeper") {
			t.Errorf("a body that encoding/json takes is refused: %v", err)
		}
		var s jsonpath.Stream
		s.Reset(p, []byte(body), jsonpath.Limits{})
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
	})
}

// FuzzPath compiles and runs any expression.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"$.a", "$..['a','b']", "$[?(@.a == 'x' && @.b > 1.5)].c[::2]", "$[-1:]", "$.a[?(@.b || $.c)]"} {
		f.Add(seed)
	}
	d, err := jsonpath.Parse([]byte(store), jsonpath.Limits{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := jsonpath.Compile(text)
		if err != nil {
			return
		}
		first, _ := p.Text(d)
		if again, _ := p.Text(d); first != again {
			t.Errorf("%q yields %q, then %q", text, first, again)
		}
	})
}
