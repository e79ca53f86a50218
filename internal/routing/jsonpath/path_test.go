package jsonpath_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/PaesslerAG/gval"
	library "github.com/PaesslerAG/jsonpath"

	"mqgateway/internal/field"
	"mqgateway/internal/routing/jsonpath"
)

const store = ` {
  "operation": "OrderRq", "id": 12345678901234567890, "price": 1.50, "big": 1E+2, "ok": true, "no": false, "none": null,
  "empty": [], "list": [["deep", 2], "b"], "nothing": [null, 1], "obj": { "z" : [ 1, { "k": "v" } ], "a": "x y" },
  "items": [
    {"sku": "A", "qty": 1, "tag": {"name": "first"}},
    {"sku": "B", "qty": 2.0, "big": 9007199254740993},
    {"sku": "C", "qty": 30, "name": "third", "on": null}
  ],
  "name": "last", "dup": {"a": 1}, "dup": {"b": 2}, "кл юч": "Жук", "q'uo\"te": "q", "esc\u0061pe": "e\n\ud83d\ude00\ud800", "": "blank"
}`

func compile(t testing.TB, text string) *jsonpath.Path {
	t.Helper()
	p, err := jsonpath.Compile(text)
	if err != nil {
		t.Fatalf("Compile(%q): %v", text, err)
	}
	return p
}

func parse(t testing.TB, body string) *jsonpath.Document {
	t.Helper()
	d, err := jsonpath.Parse([]byte(body), jsonpath.Limits{})
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return d
}

func TestText(t *testing.T) {
	d := parse(t, store)
	for path, want := range map[string]string{
		// texts of values
		"$.operation": "OrderRq",
		"$.id":        "12345678901234567890",
		"$.price":     "1.50",
		"$.big":       "1E+2",
		"$.ok":        "true",
		"$.no":        "false",
		"$.none":      "",
		"$.empty":     "",
		"$.list":      "deep",
		"$.nothing":   "",
		"$.obj":       `{"z":[1,{"k":"v"}],"a":"x y"}`,
		"$.missing":   "",
		"$.id.x":      "",
		"$.escape":    "e\n😀\ufffd",
		// keys and indexes
		"$['operation']":     "OrderRq",
		`$["operation"]`:     "OrderRq",
		"$ [ 'obj' ] .a":     "x y",
		"$['кл юч']":         "Жук",
		`$['q\'uo"te']`:      "q",
		`$["q'uo\"te"]`:      "q",
		`$['\u0065scape']`:   "e\n😀\ufffd",
		"$['']":              "blank",
		"$.items[0].sku":     "A",
		"$.items[-1].sku":    "C",
		"$.items[-3]['sku']": "A",
		"$.items[3].sku":     "",
		"$.items[-4].sku":    "",
		"$.dup.b":            "2",
		"$.list[0][1]":       "2",
		"$.operation[0]":     "",
		"$.items.sku":        "",
		"$.obj[0]":           "",
		"$.items[1].big":     "9007199254740993",
		// slices
		"$.items[1:].sku":      "B",
		"$.items[:1].sku":      "A",
		"$.items[-2:].sku":     "B",
		"$.items[:-2].sku":     "A",
		"$.items[0:3:2].sku":   "A",
		"$.items[1:3:2].sku":   "B",
		"$.items[::-1].sku":    "A",
		"$.items[::-2].sku":    "A",
		"$.items[2:0:-1].sku":  "B",
		"$.items[1::-1].sku":   "A",
		"$.items[::0].sku":     "",
		"$.items[5:9].sku":     "",
		"$.items[2:1].sku":     "",
		"$.items[ 1 : 2 ].sku": "B",
		// the first is the first in the body
		"$..name":                  "first",
		"$..sku":                   "A",
		"$..['name']":              "first",
		"$..tag.name":              "first",
		"$..k":                     "v",
		"$..[1]":                   "2",
		"$..[-1]":                  "2",
		"$.*":                      "OrderRq",
		"$.obj.*":                  "1",
		"$..*":                     "OrderRq",
		"$['price','id']":          "12345678901234567890",
		"$.items[2,0].sku":         "A",
		"$.items[2,'sku',1].sku":   "B",
		"$.items[*].qty":           "1",
		"$.items.*.name":           "third",
		"$..items[?(@.qty>1)].sku": "B",
		"$..none":                  "",
		"$..on":                    "",
		// filters
		"$.items[?(@.sku=='B')].qty":                            "2.0",
		`$.items[?@.sku == "B"].qty`:                            "2.0",
		"$.items[?(@.qty == 2)].sku":                            "B",
		"$.items[?(@.qty == 20e-1)].sku":                        "B",
		"$.items[?(@.qty != 1)].sku":                            "B",
		"$.items[?(@.qty > 2)].sku":                             "C",
		"$.items[?(@.qty >= 2.00)].sku":                         "B",
		"$.items[?(@.qty < 1.1)].sku":                           "A",
		"$.items[?(@.qty <= 0)].sku":                            "",
		"$.items[?(@.sku > 'A' && @.qty < 3)].sku":              "B",
		"$.items[?(@.sku == 'C' || @.qty == 1)].sku":            "A",
		"$.items[?((@.sku=='C' || @.sku=='B') && @.qty>2)].sku": "C",
		"$.items[?(@.name)].sku":                                "C",
		"$.items[?(@.on)].sku":                                  "C",
		"$.items[?(@.on == null)].sku":                          "C",
		"$.items[?(@['tag'].name == 'first')].sku":              "A",
		"$.items[?(@.big == 9007199254740993)].sku":             "B",
		"$.items[?(@.big == 9007199254740992)].sku":             "",
		"$.items[?(@.big > 9007199254740992)].sku":              "B",
		"$.items[?(@.sku == 1)].sku":                            "",
		"$.items[?(@.sku < 5)].sku":                             "",
		"$.items[?(@.tag == 'x')].sku":                          "",
		"$.items[?(@.missing == 'x')].sku":                      "",
		"$.items[?(@.missing != 'x')].sku":                      "A",
		"$.items[?('B' == @.sku)].qty":                          "2.0",
		"$.items[?(@.name == $.name)].sku":                      "",
		"$.items[?(@.qty == $.list[0][1])].sku":                 "B",
		"$[?(@ == true)]":                                       "true",
		"$[?(@ == false)]":                                      "false",
		"$[?(@.k || @.z)].a":                                    "x y",
		"$.items[?(@..name == 1)]":                              "refused",
		"$.empty[?(@)]":                                         "",
	} {
		if want == "refused" {
			if _, err := jsonpath.Compile(path); err == nil {
				t.Errorf("Compile(%q) succeeds", path)
			}
			continue
		}
		got, err := compile(t, path).Text(d)
		if err != nil || got != want {
			t.Errorf("%s = %q, %v, want %q", path, got, err, want)
		}
	}
	if got, _ := compile(t, "$").Text(parse(t, ` [ "a" ] `)); got != "a" {
		t.Errorf("$ = %q, want a", got)
	}
}

func TestNumbersCompareExactly(t *testing.T) {
	for _, tt := range []struct {
		a, b  string
		order int
	}{
		{"0", "-0.0", 0},
		{"1", "1.000", 0},
		{"100", "1e2", 0},
		{"0.001", "1E-3", 0},
		{"12300e-2", "123", 0},
		{"1", "2", -1},
		{"-1", "1", -1},
		{"-2", "-1", -1},
		{"0", "1e-400", -1},
		{"9", "10", -1},
		{"0.9", "0.10", 1},
		{"1e400", "1e399", 1},
		{"1e99999999999999999999", "1", 1},
		{"1e-99999999999999999999", "1", -1},
		{"123456789012345678901", "123456789012345678902", -1},
		{"-5", "0", -1},
		{"0e5", "0", 0},
		{"10", "9.99", 1},
	} {
		d := parse(t, `[{"a":`+tt.a+`,"b":`+tt.b+`}]`)
		for operator, want := range map[string]bool{
			"==": tt.order == 0, "!=": tt.order != 0, "<": tt.order < 0, "<=": tt.order <= 0, ">": tt.order > 0, ">=": tt.order >= 0,
		} {
			got, _ := compile(t, "$[?(@.a "+operator+" @.b)].a").Text(d)
			if (got != "") != want {
				t.Errorf("%s %s %s is %v, want %v", tt.a, operator, tt.b, got != "", want)
			}
		}
	}
}

// TestAgainstLibrary holds paths that PaesslerAG/jsonpath runs exactly against
// it: no number is beyond float64, and the first match does not depend on the
// order of members.
func TestAgainstLibrary(t *testing.T) {
	body := `{"a":{"b":{"c":"x"},"n":5},"l":[{"k":"1","v":1},{"k":"2","v":2},{"k":"3","v":3}],"only":{"deep":"d"},"t":true}`
	d := parse(t, body)
	var tree any
	if err := json.Unmarshal([]byte(body), &tree); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"$.a.b.c", "$.a.n", `$["a"]["b"]["c"]`, "$.l[0].k", "$.l[2].v", "$.l[1:3].k", "$.l[:2].k", "$.l[*].k", "$.l[0,2].k",
		"$..deep", "$..c", "$.l[?(@.v > 1)].k", "$.l[?(@.k == '3')].v", "$.l[?(@.v >= 2 && @.k != '2')].k",
		"$.l[?(@.k == '1' || @.v == 2)].k", "$.t", "$..l[1].k", "$..nope", "$.l[::2].k", "$.only.*",
	} {
		got, err := compile(t, path).Text(d)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		e, err := gval.Full(library.Language()).NewEvaluable(path)
		if err != nil {
			t.Errorf("the library refuses %s: %v", path, err)
			continue
		}
		found, err := e(t.Context(), tree)
		if err != nil {
			t.Errorf("the library fails on %s: %v", path, err)
			continue
		}
		if want := firstText(found); got != want {
			t.Errorf("%s = %q, the library has %q", path, got, want)
		}
	}
}

func firstText(found any) string {
	if list, ok := found.([]any); ok {
		if len(list) == 0 {
			return ""
		}
		found = list[0]
	}
	return fmt.Sprint(found)
}

func TestFirstIsTheSameEveryTime(t *testing.T) {
	p := compile(t, "$..name")
	for range 1000 {
		if got, _ := p.Text(parse(t, store)); got != "first" {
			t.Fatalf("$..name = %q, want first", got)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	for _, tt := range []struct {
		path, want string
		offset     int
	}{
		{"", "begins with $", 0},
		{"operation", "begins with $", 0},
		{"@.a", "begins with $", 0},
		{"$.", "key is missing", 2},
		{"$..", "key is missing", 3},
		{"$.имя.", "key is missing", 6},
		{"$.a b", `unexpected "b"`, 4},
		{"$.a[", "missing ]", 4},
		{"$.a[0", "missing ]", 5},
		{"$.a['x'", "missing ]", 7},
		{"$.a['x", "does not end", 4},
		{"$.a[x]", "write keys as ['key']", 4},
		{"$.a[(@.length-1)]", "the last element is [-1]", 4},
		{"$.a[99999999999]", "not an index", 4},
		{"$.a.length()", "function length() is not supported", 4},
		{"$.a[?(@.b =~ /x/)]", "= compares nothing", 10},
		{"$.a[?(@.b = 1)]", "write ==", 10},
		{"$.a[?(!@.b)]", "! is not supported", 6},
		{"$.a[?('x')]", "a literal alone is no test", 6},
		{"$.a[?(@.b == )]", "instead of a path or a literal", 13},
		{"$.a[?(@.b == [1])]", "instead of a path or a literal", 13},
		{"$.a[?(@.b == length(@.c))]", "instead of a path or a literal", 13},
		{"$.a[?(@.* == 1)]", "only a path of keys and indexes", 6},
		{"$.a[?(1 == $..b)]", "only a path of keys and indexes", 11},
		{"$.a[?(@.b == 01)]", "instead of a path or a literal", 13},
		{"$.a[?(@.b", "missing )", 9},
		{"$.a['\\x']", "broken escape", 5},
		{"$.a~", `unexpected "~"`, 3},
		{"$.a[?" + strings.Repeat("(", 200) + "@" + strings.Repeat(")", 200) + "]", "nested too deeply", 105},
	} {
		_, err := jsonpath.Compile(tt.path)
		all := field.All(err)
		if len(all) != 1 || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Compile(%q) = %v, want %q", tt.path, err, tt.want)
			continue
		}
		if all[0].Offset != tt.offset {
			t.Errorf("Compile(%q): offset %d, want %d", tt.path, all[0].Offset, tt.offset)
		}
	}
}

func TestStreams(t *testing.T) {
	for path, want := range map[string]bool{
		"$": true, "$.a": true, "$.a.b[2]['c']": true, "$..a": true, "$..['a']": true, "$['']": true,
		"$..['']": false, "$.a[-1]": false, "$..a.b": false, "$.a..b": false, "$..[0]": false, "$.*": false, "$['a','b']": false,
		"$.a[0:1]": false, "$.a[?(@.b)]": false,
	} {
		if got := compile(t, path).Streams(); got != want {
			t.Errorf("Streams() of %q = %v, want %v", path, got, want)
		}
	}
}

func TestBudget(t *testing.T) {
	body := "[" + strings.Repeat("1,", 5000) + "1]"
	_, err := compile(t, "$[?(@ == 2 || $[?(@ == 2)])]").Text(parse(t, body))
	if err == nil || !strings.Contains(err.Error(), "too many steps") {
		t.Errorf("Text = %v, want an error about steps", err)
	}
}
