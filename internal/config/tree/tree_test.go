package tree_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqgateway/internal/config/tree"
	"mqgateway/internal/field"
	"mqgateway/internal/secret"
)

// settings has a field of every kind.
type settings struct {
	Expr     string           `yaml:"expr"`
	Password secret.String    `yaml:"password"`
	Level    string           `yaml:"level" enum:"low|small,high"`
	Count    int              `yaml:"count"`
	Small    uint8            `yaml:"small"`
	Share    float64          `yaml:"share"`
	On       bool             `yaml:"on"`
	Wait     time.Duration    `yaml:"wait" alias:"pause/s"`
	Size     int64            `yaml:"size" unit:"KB"`
	Names    []string         `yaml:"names"`
	Numbers  []int            `yaml:"numbers"`
	Rules    []rule           `yaml:"rules"`
	Targets  map[string]entry `yaml:"targets" shared:"limit"`
	Nested   nested           `yaml:"nested" lift:"depth"`
	Other    int              `yaml:"-"`
}

type rule struct {
	Expr string `yaml:"expr"`
}

type entry struct {
	Host  string        `yaml:"host"`
	Limit time.Duration `yaml:"limit"`
}

type nested struct {
	Depth int `yaml:"depth"`
}

// decoded reads one file, in memory, into a fresh struct.
func decoded(file string, environ ...string) (settings, *tree.Tree) {
	t := tree.Read(settings{}, []string{"f.yml"}, tree.Options{
		Prefix:  "T_",
		Environ: environ,
		ReadFile: func(name string) ([]byte, error) {
			if name != "f.yml" {
				return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
			}
			return []byte(file), nil
		},
	})
	var s settings
	t.Decode(&s)
	return s, t
}

func TestDecodeValues(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, file string
		want       settings
	}{
		{"number", "count: -7", settings{Count: -7}},
		{"quoted number", `count: "7"`, settings{Count: 7}},
		{"largest number", "count: 9223372036854775807", settings{Count: math.MaxInt64}},
		{"leading zero is no octal", "count: 010", settings{Count: 10}},
		{"number as text", "expr: 010", settings{Expr: "010"}},
		{"boolean as text", "expr: yes", settings{Expr: "yes"}},
		{"text of several lines", "expr: |\n  a\n  b\n", settings{Expr: "a\nb\n"}},
		{"fraction", "share: 1e-1", settings{Share: 0.1}},
		{"yes", "on: YES", settings{On: true}},
		{"quoted boolean", `on: "true"`, settings{On: true}},
		{"no value", "count:\nwait: ~", settings{}},
		{"bare duration", "wait: 250", settings{Wait: 250 * time.Millisecond}},
		{"duration", "wait: 1h30m", settings{Wait: 90 * time.Minute}},
		{"days", "wait: 2d", settings{Wait: 48 * time.Hour}},
		{"unit of an alias", "pause: 3", settings{Wait: 3 * time.Second}},
		{"bare size", "size: 3", settings{Size: 3 << 10}},
		{"size with unit", "size: 3 mb", settings{Size: 3 << 20}},
		{"bytes", "size: 3B", settings{Size: 3}},
		{"enumeration", "level: HIGH", settings{Level: "high"}},
		{"alias of a value", "level: Small", settings{Level: "low"}},
		{"list of one", "numbers: 4", settings{Numbers: []int{4}}},
		{"empty text for a list", `names: ""`, settings{Names: []string{}}},
		{"empty list", "names: []", settings{Names: []string{}}},
		{"lifted", "depth: 4", settings{Nested: nested{Depth: 4}}},
		{"names with other case and dashes", "NE-STED: {De-Pth: 4}", settings{Nested: nested{Depth: 4}}},
		{"shared", "targets: {limit: 5, a: {host: x}, b: {limit: 6}}", settings{Targets: map[string]entry{
			"a": {Host: "x", Limit: 5 * time.Millisecond}, "b": {Limit: 6 * time.Millisecond},
		}}},
		{"an entry called like the shared key", "targets: {limit: {host: x}}", settings{Targets: map[string]entry{"limit": {Host: "x"}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, read := decoded(tt.file)
			if problems := read.Problems(); len(problems) > 0 {
				t.Fatal(problems)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("decoding %q (-want +got):\n%s", tt.file, diff)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for _, file := range []string{
		"count: 1.5", "count: 0x10", "count: 1_000", "count: ''", "count: 9223372036854775808", "count: +1",
		"small: 256", "small: -1", "share: NaN", "share: .inf", "on: 1", "level: l",
		"wait: 1.5", "wait: -1", "wait: 9223372036854775807", "wait: 200000d", "wait: ''",
		"size: -1", "size: 1.5KB", "size: 9223372036854775807", "size: 1KBKB", "size: KB", "size: 1KiB",
		"numbers: [1, x]", "numbers: {a: 1}", "names: [[a]]", "other: 1",
		"targets: [a]", "targets: {a: b}", "nested: 4", "rules: [expr]",
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			_, read := decoded(file)
			if problems := read.Problems(); len(problems) != 1 || problems[0].Place.Line != 1 || problems[0].Place.Column < 1 {
				t.Errorf("problems = %v, want one with line and column", problems)
			}
		})
	}
}

// TestLiteral reads a file of data: nothing in it is replaced or left out.
func TestLiteral(t *testing.T) {
	type file struct {
		Text string            `yaml:"text"`
		Null string            `yaml:"null"`
		Data map[string]string `yaml:"data"`
	}
	const source = "text: ${HOME}\n'null':\ndata:\n  a: $${b}\n  empty:\n  c: ~\n"
	read := tree.Read(file{}, []string{"f.yml"}, tree.Options{
		Literal:  true,
		ReadFile: func(string) ([]byte, error) { return []byte(source), nil },
	})
	var got file
	read.Decode(&got)
	if err := read.Problems(); len(err) > 0 {
		t.Fatal(err)
	}
	want := file{Text: "${HOME}", Data: map[string]string{"a": "$${b}", "empty": "", "c": ""}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
	for path, want := range map[string]string{"text": "f.yml:1:7", "data.a": "f.yml:4:6", "null": "f.yml:2:8", "data.missing": "f.yml:3:1"} {
		if got := read.Place(path).String(); got != want {
			t.Errorf("Place(%q) = %s, want %s", path, got, want)
		}
		if got, want := read.Has(path), path != "data.missing"; got != want {
			t.Errorf("Has(%q) = %v", path, got)
		}
	}
}

func TestCheckShowsTheSource(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, file, path string
		offset           int
		want             string
	}{
		{
			"plain", "  # a comment\nexpr: a + b # more", "expr", 2,
			"f.yml:2:9: expr: odd\n" +
				"    expr: a + b\n" +
				"            ^",
		},
		{
			"in quotes, characters counted", `rules: [{expr: "привет + b"}]`, "rules[0].expr", 7,
			"f.yml:1:24: rules[0].expr: odd\n" +
				"    expr: \"привет + b\"\n" +
				"                  ^",
		},
		{
			"neighbours are not shown", "{password: hunter2, expr: a, names: hunter2}", "expr", 0,
			"f.yml:1:27: expr: odd\n" +
				"    expr: a\n" +
				"          ^",
		},
		{
			"at the end", "expr: abc", "expr", 3,
			"f.yml:1:10: expr: odd\n" +
				"    expr: abc\n" +
				"             ^",
		},
		{
			"behind the end", "expr: abc", "expr", 30,
			"f.yml:1:10: expr: odd\n" +
				"    expr: abc\n" +
				"             ^",
		},
		{
			"escapes: the text itself", `expr: "a\tb"`, "expr", 2,
			"f.yml:1:7: expr: odd\n" +
				"    a b\n" +
				"      ^",
		},
		{
			"several lines: the one meant", "expr: |\n  abc\n  def\n", "expr", 5,
			"f.yml:1:7: expr: odd\n" +
				"    def\n" +
				"     ^",
		},
		{
			"placeholder: what it became", "expr: ${A}${B:bc}", "expr", 1,
			"f.yml:1:7: expr: odd\n" +
				"    abc\n" +
				"     ^",
		},
		{
			"a long line is cut", "expr: " + strings.Repeat("a", 200), "expr", 100,
			"f.yml:1:107: expr: odd\n" +
				"    …" + strings.Repeat("a", 60) + strings.Repeat("a", 60) + "…\n" +
				"     " + strings.Repeat(" ", 60) + "^",
		},
		{"a secret is not shown", "password: hunter2", "password", 1, "f.yml:1:11: password: odd"},
		{"the whole value", "expr: abc", "expr", -1, "f.yml:1:7: expr: odd"},
		{"absent", "nested: {}", "nested.depth", 2, "f.yml:1:1: nested.depth: odd (add depth under nested)"},
		{"absent element", "rules:\n- {}", "rules[1].expr", -1, "f.yml:1:1: rules[1].expr: odd (add [1].expr under rules)"},
		{"a name with dots", "targets:\n  a.b: {host: x}\n  a: {host: y}", "targets.a.b.host", -1, "f.yml:2:15: targets.a.b.host: odd"},
		{"a whole block", "targets:\n  a: {host: y}", "targets.a", -1, "f.yml:2:3: targets.a: odd"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, read := decoded(tt.file, "A=a")
			read.Check(field.At(tt.path, tt.offset, errors.New("odd")))
			if diff := cmp.Diff(tt.want, read.Problems().Error()); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheckSaysNothingTwice(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, file, path string }{
		{"the value is wrong", "count: x", "count"},
		{"something below is wrong", "targets: {a: {limit: x}}", "targets"},
		{"something above is wrong", "targets: 1", "targets.a.host"},
		{"the key is misspelt", "cuont: 1", "count"},
		{"the file is lost", "{", "count"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, read := decoded(tt.file)
			read.Check(field.Errorf(tt.path, "odd"))
			if problems := read.Problems(); len(problems) != 1 {
				t.Errorf("problems = %v, want one", problems)
			}
		})
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, file string
		environ    []string
		want       string
	}{
		{"a gap in a list", "names: [a]", []string{"T_NAMES_2=c"}, "environment T_NAMES_2: names[2]: the list has 1 elements, number 2 would leave a gap (elements are numbered from 0)"},
		{"elements in the order of numbers", "", []string{
			"T_NUMBERS_10=1", "T_NUMBERS_9=1", "T_NUMBERS_8=1", "T_NUMBERS_7=1", "T_NUMBERS_6=1",
			"T_NUMBERS_5=1", "T_NUMBERS_4=1", "T_NUMBERS_3=1", "T_NUMBERS_2=1", "T_NUMBERS_1=1", "T_NUMBERS_0=1",
		}, ""},
		{"one key by two variables", "", []string{"T_COUNT=1", "T_CO_UNT=2"}, "environment T_CO_UNT: count: the key is set twice in the environment (also by T_COUNT)"},
		{"a key and its alias", "", []string{"T_WAIT=1", "T_PAUSE=2"}, "environment T_WAIT: wait: the key is set twice in the environment (also by T_PAUSE)"},
		{"wrong value", "", []string{"T_RULES_0_EXPR=a", "T_COUNT=x"}, `environment T_COUNT: count: "x" is not a whole number`},
		{"not UTF-8", "", []string{"T_EXPR=\xff"}, "environment T_EXPR: expr: the value is not UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, read := decoded(tt.file, tt.environ...)
			if diff := cmp.Diff(tt.want, read.Problems().Error()); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func ExampleRead() {
	type config struct {
		Port  int      `yaml:"port"`
		Hosts []string `yaml:"hosts"`
	}
	t := tree.Read(config{}, []string{"strong.yml", "weak.yml"}, tree.Options{
		Environ: []string{"APP_HOSTS_0=c"},
		Prefix:  "APP_",
		ReadFile: func(name string) ([]byte, error) {
			return []byte(map[string]string{"strong.yml": "port: 80", "weak.yml": "port: 81\nhosts: [a, b]"}[name]), nil
		},
	})
	var c config
	t.Decode(&c)
	fmt.Println(c)
	fmt.Println(t.Warnings())
	// Output:
	// {80 [c b]}
	// strong.yml:1:7: port: set here and at weak.yml:1:7; this one holds
}
