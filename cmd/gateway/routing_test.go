package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mqgateway/internal/config"
	"mqgateway/internal/config/tree"
	"mqgateway/internal/flow"
	"mqgateway/internal/routing"
)

// caseFolder has files of cases, and below config the configuration of each,
// which lies over base.yml.
const caseFolder = "testdata/routing"

// command runs a command in this process.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = execute(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

// routingCases are the files of cases with their configurations.
func routingCases(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(caseFolder + "/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("files of cases = %v, %v", files, err)
	}
	configs := map[string]string{}
	for _, file := range files {
		configs[file] = filepath.Join(caseFolder, "config", filepath.Base(file)) + "," + caseFolder + "/config/base.yml"
	}
	return configs
}

// TestRoutingCases runs all cases by 'gateway test'.
func TestRoutingCases(t *testing.T) {
	total := 0
	for file, files := range routingCases(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			code, stdout, stderr := command(t, "test", "-c", files, "--json", file)
			var got testReport
			if err := json.Unmarshal([]byte(stdout), &got); err != nil {
				t.Fatalf("output %q, %q: %v", stdout, stderr, err)
			}
			for _, c := range got.Cases {
				if !c.OK {
					t.Errorf("%s:%d: %s: %+v", c.File, c.Line, c.Name, c.Differences)
				}
			}
			if code != 0 || stderr != "" || got.Passed != len(got.Cases) || got.Failed != 0 {
				t.Errorf("exit code %d, %d passed, %d failed of %d, stderr %q", code, got.Passed, got.Failed, len(got.Cases), stderr)
			}
			total += len(got.Cases)
		})
	}
	if total < 400 {
		t.Errorf("%d cases have run, 400 are there at least", total)
	}
}

// TestRouteAgreesWithTheCases gives the message of every third case to 'gateway route'.
func TestRouteAgreesWithTheCases(t *testing.T) {
	for file, files := range routingCases(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			loaded, err := config.Load(strings.Split(files, ","), config.Options{})
			if err != nil {
				t.Fatal(err)
			}
			run, err := newDryRun(loaded.Config)
			if err != nil {
				t.Fatal(err)
			}
			cases, problems := loadCases(file, run)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			var written testFile
			tree.Read(testFile{}, []string{file}, tree.Options{Literal: true}).Decode(&written)
			for i := 0; i < len(cases); i += 3 {
				routeCase(t, files, cases[i], written.Cases[i].Message)
			}
		})
	}
}

// routeCase compares what 'gateway route --json' says of a case with what the case
// expects; headers and body are no part of that.
func routeCase(t *testing.T, files string, c loadedCase, m testMessage) {
	t.Helper()
	body := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(body, c.message.message.Body, 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"route", "-c", files, "--json", "--message", body, "--authority", m.Authority}, messageArgs(m)...)
	code, stdout, stderr := command(t, args...)
	var got routing.Explanation
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%s: output %q, %q: %v", c.name, stdout, stderr, err)
	}
	want := maps.Clone(c.wants)
	maps.DeleteFunc(want, func(key, _ string) bool {
		return key == "body" || strings.HasPrefix(key, userOutcome) || strings.HasPrefix(key, systemOutcome)
	})
	found := outcomes(&got, nil)
	maps.DeleteFunc(found, func(key, _ string) bool { _, ok := want[key]; return !ok && key != errorOutcome })
	for key, text := range want {
		if _, there := found[key]; !there && text == "" {
			delete(want, key)
		}
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("%s (-want +got):\n%s", c.name, diff)
	}
	if wantCode := map[bool]int{true: 0, false: 2}[got.Error == nil]; code != wantCode {
		t.Errorf("%s: exit code %d, want %d", c.name, code, wantCode)
	}
}

// messageArgs writes a message as flags.
func messageArgs(m testMessage) []string {
	var args []string
	for flag, headers := range map[string]map[string]string{"header": m.Headers, "system": m.System, "grpc-header": m.GRPCHeaders} {
		for _, name := range slices.Sorted(maps.Keys(headers)) {
			args = append(args, "--"+flag, name+"="+headers[name])
		}
	}
	return args
}

// TestRouteBombs routes bodies that are nested, long or many beyond all bounds.
func TestRouteBombs(t *testing.T) {
	nested := func(open, inside, end string, n int) string {
		return strings.Repeat(open, n) + inside + strings.Repeat(end, n)
	}
	const mega = 1 << 20
	for _, tt := range []struct {
		name, rule, body string
		want             int // the code of the error; 0 for none
	}{
		{"XML as deep as is allowed", "//Tag", nested("<a>", "<Tag>t</Tag>", "</a>", 255), 0},
		{"XML too deep", "//Tag", nested("<a>", "<Tag>t</Tag>", "</a>", 256), 606},
		{"XML too deep, in a tree", "/a/*[last()]", nested("<a>", "<Tag>t</Tag>", "</a>", 256), 606},
		{"XML a million deep", "//Tag", strings.Repeat("<a>", mega), 606},
		{"XML a million deep, in a tree", "/a/*[last()]", strings.Repeat("<a>", mega), 606},
		{"JSON as deep as is allowed", "$..tag", nested(`{"a":`, `{"tag":"t"}`, "}", 127), 0},
		{"JSON too deep", "$..tag", nested(`{"a":`, `{"tag":"t"}`, "}", 128), 606},
		{"JSON too deep, in a tree", "$..a[?(@.b == 1)]", nested(`{"a":`, `{"tag":"t"}`, "}", 128), 606},
		{"JSON a million deep", "$..tag", strings.Repeat("[", mega), 606},
		{"JSON a million deep, in a tree", "$.a[?(@.b == 1)]", strings.Repeat("[", mega), 606},
		{"a long name", "local-name(/*)", "<" + strings.Repeat("a", mega) + "/>", 601},
		{"a long text", "//Tag", "<Tag>" + strings.Repeat("a", mega) + "</Tag>", 601},
		{"a long number", "$.a", `{"a":` + strings.Repeat("7", mega) + "}", 601},
		{"a long comment", "//Tag", "<r><!--" + strings.Repeat("a", mega) + "--><Tag>t</Tag></r>", 0},
		{"many elements", "//Tag", "<r>" + strings.Repeat("<a/>", mega/4) + "<Tag>t</Tag></r>", 0},
		{"many keys", "$.z", "{" + strings.Repeat(`"a":1,`, mega/8) + `"z":"t"}`, 0},
		{"over the limit", "//Tag", "<Tag>" + strings.Repeat("a", 4*mega) + "</Tag>", 606},
	} {
		t.Run(tt.name, func(t *testing.T) {
			run, err := newDryRun(bombConfig(tt.rule))
			if err != nil {
				t.Fatal(err)
			}
			d := run.draft()
			d.message.Body = []byte(tt.body)
			x := run.explain(t.Context(), d.read())
			var out bytes.Buffer
			if err := writeJSON(&out, x); err != nil {
				t.Fatal(err)
			}
			var got routing.Explanation
			if err := json.Unmarshal(out.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if got.Error == nil && (tt.want != 0 || got.Destination != "t") || got.Error != nil && got.Error.Code != tt.want {
				t.Errorf("destination %.40q, error %.200v; want code %d", got.Destination, got.Error, tt.want)
			}
			if err := printExplanation(&out, "a bomb", x); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// bombConfig is a gateway of messages up to 4 MB whose destination is what one
// rule finds.
func bombConfig(rule string) config.Config {
	cfg := config.Default()
	cfg.MQ.MaxMsgLength = 4 << 20
	r := routing.RuleConfig{Type: "fromBody"}
	if strings.HasPrefix(rule, "$") {
		r.ValueJSON = rule
	} else {
		r.Value = rule
	}
	cfg.Routing.RouteList = []routing.RouteConfig{{
		Variables:             []routing.VariableConfig{{Name: "V", ValueFrom: []routing.RuleConfig{r}}},
		DestinationExpression: "V",
	}}
	return cfg
}

// TestRouteRefusesConfigurations lays broken blocks over a configuration that is
// right. Each is refused with its place, before the message is looked at.
func TestRouteRefusesConfigurations(t *testing.T) {
	const entry = "  routeList: [{destinationExpression: \"'x'\"}]\n"
	rule := func(rule string) string {
		return "  routeList:\n    - destinationExpression: V\n      variables: [{name: V, valueFrom: [" + rule + "]}]\n"
	}
	xpath := func(path string) string { return rule(fmt.Sprintf("{type: fromBody, value: %q}", path)) }
	jsonpath := func(path string) string { return rule(fmt.Sprintf("{type: fromBody, valueJson: %q}", path)) }
	expr := func(source string) string { return fmt.Sprintf("  routeList: [{destinationExpression: %q}]\n", source) }
	for _, tt := range []struct {
		name, routing string
		want          []string
	}{
		{"no routes", "  routeList: []\n", []string{"routing.routeList: missing"}},
		{"two entries of one name", "  routeList:\n    - {routeName: a, destinationExpression: \"'x'\"}\n    - {routeName: a, destinationExpression: \"'y'\"}\n", []string{"bad.yml:4:19", "there twice"}},
		{"two entries without a name", "  routeList:\n    - {destinationExpression: \"'x'\"}\n    - {destinationExpression: \"'y'\"}\n", []string{`"default"`, "there twice"}},
		{"no destination", "  routeList: [{routeName: a}]\n", []string{"destinationExpression: missing"}},
		{"an unknown key", "  routeNam: {}\n" + entry, []string{"bad.yml:2:3", "did you mean routing.routeName?"}},
		{"an unknown rule", rule("{type: fromHeadr, value: a}"), []string{`did you mean "fromHeader"?`}},
		{"an unknown system header", rule("{type: fromHeader, value: MsgIdd}"), []string{`did you mean "MsgId"?`, "fromRfh2Header"}},
		{"a rule without a path", rule("{type: fromBody}"), []string{"valueFrom[0].value: missing"}},
		{"a variable without rules", "  routeList: [{destinationExpression: V, variables: [{name: V}]}]\n", []string{"valueFrom: missing"}},
		{"a variable twice", "  routeList: [{destinationExpression: V, variables: [{name: V, valueFrom: [{type: fromConst, value: a}]}, {name: V, valueFrom: [{type: fromConst, value: a}]}]}]\n", []string{`"V" is there twice`}},
		{"a variable with the name of a word", "  routeList: [{destinationExpression: \"'x'\", variables: [{name: value, valueFrom: [{type: fromConst, value: a}]}]}]\n", []string{"meaning of its own"}},
		{"a destination that is no authority", "  routeList: [{destinationExpression: \"'x'\", destinations: {x: a b}}]\n", []string{"destinations.x"}},
		{"destinations that differ by case", "  routeList: [{destinationExpression: \"'x'\", destinations: {x: a, X: b}}]\n", []string{"there twice, but for case"}},
		{"HTTP", "  routeList: [{destinationExpression: \"'x'\", transportType: http}]\n", []string{"transportType"}},
		{"an empty pattern", "  allowedDestinations: ['']\n" + entry, []string{"allowedDestinations[0]"}},

		{"XPath: id()", xpath("id('a')"), []string{"id"}},
		{"XPath: lang()", xpath("//a[lang('ru')]"), []string{"lang"}},
		{"XPath: the namespace axis", xpath("//namespace::a"), []string{"namespace"}},
		{"XPath: processing instructions", xpath("//processing-instruction()"), []string{"processing-instruction"}},
		{"XPath: variables", xpath("//a[. = $b]"), []string{"bad.yml"}},
		{"XPath: version 2", xpath("lower-case(//a)"), []string{"lower-case"}},
		{"XPath: a bracket that is not closed", xpath("//a[1"), []string{"^"}},
		{"JSONPath: a script", jsonpath("$.a[(@.length-1)]"), []string{"bad.yml"}},
		{"JSONPath: a pattern", jsonpath("$.a[?(@.b =~ /c/)]"), []string{"bad.yml"}},
		{"JSONPath: no root", jsonpath("a.b"), []string{"$"}},
		{"JSONPath: a bracket that is not closed", jsonpath("$.a[1"), []string{"^"}},

		{"the name of a service without quotes", expr("system1-payment-rs"), []string{"subtraction", `"'system1-payment-rs'"`}},
		{"an unknown variable", expr("Nope"), []string{"Nope"}},
		{"an unknown subscript", expr("variables['Nope']"), []string{"Nope"}},
		{"a class", expr("T(java.lang.Math).random() + ''"), []string{"T("}},
		{"a constructor", expr("new String('a')"), []string{"new"}},
		{"a bean", expr("@bean.name"), []string{"@"}},
		{"a variable of SpEL", expr("#root"), []string{"#"}},
		{"an assignment", expr("a = 'b'"), []string{"bad.yml"}},
		{"a projection", expr("variables.![name]"), []string{".!["}},
		{"a selection", expr("variables.?[name]"), []string{".?["}},
		{"a number", expr("7"), []string{"bad.yml"}},
		{"a boolean", expr("1 == 1"), []string{"bad.yml"}},
		{"value in a destination", expr("value + 'a'"), []string{"value"}},
		{"an unknown system header in an expression", expr("headers['MsgIdd']"), []string{"MsgIdd"}},
		{"an unknown function", expr("lowr('A')"), []string{"lowr"}},
		{"look-around", expr("'a'.replaceAll('a(?=b)', '')"), []string{"bad.yml"}},
		{"back-references", expr("'a'.replaceAll('(a)\\\\1', '')"), []string{"bad.yml"}},
		{"a quote that is not closed", expr("'a"), []string{"^"}},
		{"too many arguments", expr("'a'.substring(1,2,3)"), []string{"substring"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			bad := filepath.Join(dir, "bad.yml")
			if err := os.WriteFile(bad, []byte("routing:\n"+tt.routing), 0o600); err != nil {
				t.Fatal(err)
			}
			code, stdout, stderr := command(t, "route", "-c", bad+","+caseFolder+"/config/base.yml", "--message", "missing.xml", "--json")
			if code != 1 || stdout != "" {
				t.Errorf("exit code %d, stdout %q", code, stdout)
			}
			for _, want := range append(tt.want, bad+":") {
				if !strings.Contains(stderr, want) {
					t.Errorf("stderr has no %q:\n%s", want, stderr)
				}
			}
			if !strings.HasSuffix(strings.TrimSpace(stderr), "the configuration has 1 problem") {
				t.Errorf("more than one problem:\n%s", stderr)
			}
		})
	}
}

// TestRouteReadsStandardInput runs the command with a body on a pipe.
func TestRouteReadsStandardInput(t *testing.T) {
	root := newRootCommand()
	var out bytes.Buffer
	root.SetIn(io.MultiReader(strings.NewReader("<Pay"), strings.NewReader("ment/>")))
	root.SetOut(&out)
	root.SetArgs([]string{"route", "-c", caseFolder + "/config/quickstart.yml," + caseFolder + "/config/base.yml", "-m", "-", "--json"})
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got routing.Explanation
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.Destination != "payment-service" {
		t.Errorf("destination = %q, %v", got.Destination, err)
	}
}

// TestEverySystemHeaderCanBeTried sets each, those that only brokers set, too.
func TestEverySystemHeaderCanBeTried(t *testing.T) {
	values := map[string]string{
		"Expiry": "1000", "Priority": "4", "Persistence": "1", "MsgType": "2",
		"PutDateTime": "2026-01-02T03:04:05Z", "BackoutCount": "2", "Redelivered": "true",
	}
	for _, p := range flow.Properties {
		text := values[p.Name]
		if text == "" {
			text = "text-of-" + p.Name
		}
		d := &draft{message: flow.Message{Source: flow.Source{Queue: "IN", Manager: "QM1"}}}
		if err := d.setSystem(p.Name, text); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
		if got := p.Text(d.read()); got != text {
			t.Errorf("%s = %q, want %q", p.Name, got, text)
		}
	}
}

// TestColours paints for terminals, and changes nothing but the colours.
func TestColours(t *testing.T) {
	x := &routing.Explanation{Destination: "a", TransportType: "grpc", Steps: []routing.Step{
		{Stage: routing.StageRoute, Value: "default", Reason: "no routeName"},
		{Stage: routing.StageVariable, Variable: "V", Rule: `fromHeader "MsgId"`, Reason: "not set"},
		{Stage: routing.StageDestination, Expression: "'a'", Value: "a"},
	}}
	var texts [2]string
	for i, p := range []palette{{}, {on: true}} {
		l := layout{colours: p}
		l.addSteps(x)
		texts[i] = l.String() + l.outcome(x)
	}
	plain := texts[1]
	for _, sequence := range []string{"0", "2", "36", "1;31", "1;32"} {
		plain = strings.ReplaceAll(plain, "\x1b["+sequence+"m", "")
	}
	if plain != texts[0] || texts[1] == texts[0] {
		t.Errorf("without colours %q, painted %q", texts[0], texts[1])
	}
	if paletteFor(&bytes.Buffer{}).on {
		t.Error("a buffer is no terminal")
	}
}

// TestLongValuesAreCut keeps a line a line.
func TestLongValuesAreCut(t *testing.T) {
	got := shownValue(strings.Repeat("я", longestValue+1))
	want := strconv.Quote(strings.Repeat("я", longestValue)) + "… (161 characters)"
	if got != want {
		t.Errorf("shown value = %s, want %s", got, want)
	}
}
