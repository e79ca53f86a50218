package xmlpath_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/antchfx/xmlquery"
	"github.com/antchfx/xpath"

	"mqgateway/internal/field"
	"mqgateway/internal/routing/xmlpath"
)

const order = `<?xml version="1.0" encoding="windows-1251"?>
<!DOCTYPE s:Order [<!ENTITY who "nobody"> <!-- > ]> --> <!ATTLIST s:Order x CDATA "]>">]>
<?hint a b?>
<s:Order xmlns:s="urn:s" xmlns="urn:d" id="7" s:kind='a&#x26;b "c"'>
  <!-- remark -->
  <Head><Id>0010</Id><Id>0020</Id><Empty/><Blank></Blank></Head>
  <Line no="1"><Sum cur="RUB">10.50</Sum><Text>один &lt;два&gt; <![CDATA[<три> & ]]>четыре</Text></Line>
  <Line no="2"><Sum cur="USD">2.25</Sum><s:Text>prefixed</s:Text></Line>
  <Line no="3"><Sum>1e3</Sum><a><b><a>inner</a></b></a></Line>
  <Имя>Ива́н</Имя>
</s:Order>
<!-- end -->`

func compile(t testing.TB, text string) *xmlpath.Path {
	t.Helper()
	p, err := xmlpath.Compile(text)
	if err != nil {
		t.Fatalf("Compile(%q): %v", text, err)
	}
	return p
}

func parse(t testing.TB, body string) *xmlpath.Document {
	t.Helper()
	d, err := xmlpath.Parse([]byte(body), xmlpath.Limits{})
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return d
}

func TestText(t *testing.T) {
	d := parse(t, order)
	for path, want := range map[string]string{
		// the three forms that stream
		"local-name(/*)":  "Order",
		"//Id":            "0010",
		"//Empty":         "",
		"//Line/@no":      "1",
		"//Sum/@cur":      "RUB",
		"//Text":          "один <два> <три> & четыре",
		"//s:Text":        "prefixed",
		"//Order":         "",
		"//s:Order/@id":   "7",
		"// Id":           "0010",
		"//Имя":           "Ива́н",
		"//a":             "inner",
		"//s:Order/@kind": "",
		// names as written
		"name(/*)":            "s:Order",
		"/s:Order/@s:kind":    `a&b "c"`,
		"//s:*[2]":            "",
		"//@s:*":              `a&b "c"`,
		"namespace-uri(/*)":   "urn:s",
		"namespace-uri(//Id)": "urn:d",
		"count(/*/@*)":        "2",
		"//@xmlns":            "",
		// paths and predicates
		"/s:Order/Line[2]/Sum":                    "2.25",
		"/s:Order/Line[@no='3']/Sum":              "1e3",
		"/*/*[last()]":                            "Ива́н",
		"//Line[Sum > 2][2]/@no":                  "2",
		"//Sum[1]":                                "10.50",
		"(//Sum)[2]":                              "2.25",
		"//Sum[2]":                                "",
		"//Line[position() mod 2 = 0]/@no":        "2",
		"//Id[. = '0020']":                        "0020",
		"//Id/..//Id[2]":                          "0020",
		"/descendant::Sum[3]":                     "1e3",
		"//a/b/a":                                 "inner",
		"//Line/Sum[not(@cur)]":                   "1e3",
		"//*[local-name()='Text'][2]":             "",
		"(//*[local-name()='Text'])[2]":           "prefixed",
		"//node()[self::comment()]":               " remark ",
		"/comment()":                              " end ",
		"//Text/text()":                           "один <два> <три> & четыре",
		"//Line[.//b]/@no":                        "3",
		".//Id":                                   "0010",
		"//Sum[@cur='USD' or @cur='EUR']":         "2.25",
		"//Sum[@cur='USD' and ../@no=2]/@cur":     "USD",
		"//Line[Sum/@cur]/@no":                    "1",
		"//Head/Id[last()]":                       "0020",
		"child::*/child::Head/child::Id":          "0010",
		"//Line[2]/self::Line/@no":                "2",
		"//Line[2]/self::Head":                    "",
		"//b/ancestor::Line/@no":                  "3",
		"//b/ancestor-or-self::*[1]/a":            "inner",
		"//Line[@no=2]/following-sibling::*/@no":  "3",
		"//Line[@no=2]/following::Sum":            "1e3",
		"//Line/attribute::no[. > 1]":             "2",
		"//Head/Id/following-sibling::Empty":      "",
		"name(//Head/Id[2]/following-sibling::*)": "Empty",
		// the first is the first in document order
		"//Sum | //Id":                          "0010",
		"//Text | //s:Order/@id":                "7",
		"//Line[3]/preceding::Sum":              "10.50",
		"//Line[3]/preceding::Sum[1]":           "2.25",
		"//Line[3]/preceding-sibling::Line/@no": "1",
		"//Line[3]/preceding-sibling::*[1]/@no": "2",
		"string(//Line[3]/preceding::Sum)":      "10.50",
		"concat(//Sum | //Id, '')":              "0010",
		"name(//b/ancestor::*)":                 "s:Order",
		"name(//b/ancestor::*[1])":              "a",
		"(//b/ancestor::*)[last()]/b/a":         "inner",
		// functions, operators and how numbers print
		"count(//Line)":                         "3",
		"sum(//Sum[@cur])":                      "12.75",
		"sum(//Line/@no) div 4":                 "1.5",
		"1 div 3":                               "0.3333333333333333",
		"1000000 * 1000000 * 1000000 * 10000":   "10000000000000000000000",
		"1 div 10000000":                        "0.0000001",
		"-0":                                    "0",
		"1 div 0":                               "Infinity",
		"-1 div 0":                              "-Infinity",
		"0 div 0":                               "NaN",
		"number(//Id)":                          "10",
		"number(' 5 ')":                         "5",
		"number('1e3')":                         "NaN",
		"--5":                                   "5",
		"--'5'":                                 "5",
		"- 5":                                   "-5",
		"5 mod 2":                               "1",
		"-5 mod 2":                              "-1",
		"5 mod -2":                              "1",
		"1.5 mod 0.5":                           "0",
		"round(2.5)":                            "3",
		"round(-2.5)":                           "-2",
		"floor(-2.5)":                           "-3",
		"ceiling(2.1)":                          "3",
		"3*4-2":                                 "10",
		"7 - 2 - 1":                             "4",
		"(1 + 2) * 3":                           "9",
		"1 = 1":                                 "true",
		"1 != 1 or 2 > 1":                       "true",
		"1 < 2 and 2 <= 2 and 3 > 2 and 3 >= 3": "true",
		"'a' = 'b'":                             "false",
		"//Id = '0020'":                         "true",
		"//Id != '0020'":                        "true",
		"//Nope = ''":                           "false",
		"not(//Nope)":                           "true",
		"//Nope = false()":                      "true",
		"true() = '0'":                          "true",
		"boolean('')":                           "false",
		"//Sum > 1000":                          "false",
		"2 < //Sum":                             "true",
		"//Sum = //Sum/@cur":                    "false",
		"string-length('Привет')":               "6",
		"substring('Привет', 2, 3)":             "рив",
		"substring('12345', 1.5, 2.6)":          "234",
		"substring('12345', 0, 3)":              "12",
		"substring('12345', 0 div 0, 3)":        "",
		"substring('12345', -42, 1 div 0)":      "12345",
		"substring('12345', 2)":                 "2345",
		"substring-before('1999/04', '/')":      "1999",
		"substring-before('1999', '/')":         "",
		"substring-after('1999/04', '/')":       "04",
		"substring-after('1999', '/')":          "",
		"starts-with(//Id, '00')":               "true",
		"contains(//Text, 'три')":               "true",
		"normalize-space('  a \n b  ')":         "a b",
		"translate('bar','abc','AB')":           "BAr",
		"translate('--aaa--','abc-','ABC')":     "AAA",
		"translate('абв','абв','abc')":          "abc",
		"concat('a', 1, true())":                "a1true",
		"string(//Nope)":                        "",
		"local-name(//@s:kind)":                 "kind",
		"string(.)=string(/)":                   "true",
		"//Line[2]/Sum[string()='2.25']/@cur":   "USD",
		"//Line[last() - 1]/@no":                "2",
		"//Line[string-length(@no) = 1]/@no":    "1",
		"//*[name()='s:Text']":                  "prefixed",
		"normalize-space(/)":                    "00100020 10.50один <два> <три> & четыре 2.25prefixed 1e3inner Ива́н",
		"//div | //mod | //and":                 "",
		"processing":                            "",
		"count(//node())":                       "37",
		"count(/node())":                        "3",
		"count(//text()[normalize-space()])":    "9",
	} {
		got, err := compile(t, path).Text(d)
		if err != nil || got != want {
			t.Errorf("%s = %q, %v, want %q", path, got, err, want)
		}
	}
}

// TestAgainstXMLQuery holds paths for which the library follows the
// recommendation against it.
func TestAgainstXMLQuery(t *testing.T) {
	body := `<r><h><id>1</id><id>2</id></h><l n="1"><s c="a">10</s></l><l n="2"><s c="b">20</s><s>30</s></l><x><y><x>in</x></y></x></r>`
	d := parse(t, body)
	tree, err := xmlquery.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"/r/h/id", "//id", "//s", "//l/@n", "//s/@c", "//x", "//y/x", "/r/l[2]/s[2]", "//l[@n='2']/s", "//l[s=20]/@n",
		"//s[not(@c)]", "//s[@c]", "//l[last()]/@n", "//l[position()=2]/s", "/*/*", "//x/..", "//s/ancestor::l/@n",
		"//y/ancestor::x", "//h/following-sibling::l/s", "//id[2]/following::s", "//l/s[1]", "//*[@c='b']", "/r/*[2]/s",
		"//l[count(s)=2]/@n", "//l[starts-with(@n,'2')]/s", "//s[contains(@c,'b')]", "//id[string-length(.)=1]",
		"string(//id)", "count(//s)", "sum(//s)", "local-name(/*)", "name(//l)", "concat(//id,'-',//s)", "//s[.>15]",
		"//s[. > 5 and . < 25][1]", "normalize-space(//h)", "substring(//s,1,1)", "translate(//s,'1','9')",
	} {
		got, err := compile(t, path).Text(d)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if want := libraryText(t, tree, path); got != want {
			t.Errorf("%s = %q, the library has %q", path, got, want)
		}
	}
}

// libraryText is the first result of the library as text.
func libraryText(t *testing.T, tree *xmlquery.Node, path string) string {
	t.Helper()
	e, err := xpath.Compile(path)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	switch v := e.Evaluate(xmlquery.CreateXPathNavigator(tree)).(type) {
	case *xpath.NodeIterator:
		if v.MoveNext() {
			return v.Current().Value()
		}
		return ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	default:
		t.Fatalf("%s: unexpected %T", path, v)
		return ""
	}
}

func TestCompileErrors(t *testing.T) {
	for _, tt := range []struct {
		path, want string
		offset     int
	}{
		{"", "a step is missing", 0},
		{"//", "a step is missing", 2},
		{"//a[", "a step is missing", 4},
		{"//a[1", "missing ]", 5},
		{"//a]", "unexpected ]", 3},
		{"//a b", "unexpected b", 4},
		{"//Имя/$x", "variables ($name) are not supported", 6},
		{"id('x')", "id() is not supported", 0},
		{"//a[lang('en')]", "lang() is not supported", 4},
		{"//a/namespace::x", "the namespace axis is not supported", 4},
		{"//processing-instruction()", "processing-instruction() is not supported", 2},
		{"//processing-instruction('x')", "processing-instruction() is not supported", 2},
		{"matches(//a,'x')", "not in XPath 1.0", 0},
		{"foo(//a)", "unknown function foo()", 0},
		{"count('a')", "count() needs nodes, not a text", 6},
		{"count()", "does not take 0 arguments", 0},
		{"concat('a')", "does not take 1 arguments", 0},
		{"'a' | //b", "| needs nodes, not a text", 0},
		{"//b | 1", "| needs nodes, not a number", 6},
		{"(1)[1]", "a predicate needs nodes", 0},
		{"string(//a)/b", "/ needs nodes, not a text", 0},
		{"//up::a", "unknown axis up", 2},
		{"'abc", "the text does not end", 0},
		{"//a[#]", "unexpected character #", 4},
		{"1 +", "a step is missing", 3},
		{"//a[" + strings.Repeat("(", 200) + "1" + strings.Repeat(")", 200) + "]", "nested too deeply", 103},
	} {
		_, err := xmlpath.Compile(tt.path)
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
		"local-name(/*)": true, " local-name( / * ) ": true, "//Tag": true, "//ns:Tag": true, "//Tag/@a": true, "//Tag/@x:a": true,
		"name(/*)": false, "local-name()": false, "local-name(//*)": false, "//*": false, "//a/b": false, "/a": false, "//a[1]": false,
		"//a/@*": false, "//a/@xmlns": false, "//a/@xmlns:b": false, "//a/text()": false, "//ns:*": false, "'x'": false, "//a//@b": false,
	} {
		if got := compile(t, path).Streams(); got != want {
			t.Errorf("Streams() of %q = %v, want %v", path, got, want)
		}
	}
}

func TestBudget(t *testing.T) {
	body := "<r>" + strings.Repeat("<a/>", 5000) + "</r>"
	_, err := compile(t, "//a[count(//a[//a]) > 1]").Text(parse(t, body))
	if err == nil || !strings.Contains(err.Error(), "too many steps") {
		t.Errorf("Text = %v, want an error about steps", err)
	}
}
