package xmlpath_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"mqgateway/internal/routing/xmlpath"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct{ name, body, want string }{
		{"plain", "<a>x</a>", "x"},
		{"byte order mark", "\ufeff<a>x</a>", "x"},
		{"blanks around", " \r\n<a>x</a>\n\t", "x"},
		{"blank before the declaration", "\n<?xml version='1.0'?><a>x</a>", "x"},
		{"declaration", `<?xml version="1.0" encoding="UTF-16" standalone='yes' ?><a>x</a>`, "x"},
		{"doctype", `<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x>y"><a>x</a>`, "x"},
		{"doctype with a subset", `<!DOCTYPE a [<!ELEMENT a (#PCDATA)><?p ]>?><!ENTITY e "<!--">]><a>x</a>`, "x"},
		{"comment and instruction", "<?p?><!--c--><a><!-- - -->x<?q r?></a><!----><?z?>", "x"},
		{"references", "<a>&lt;&gt;&amp;&apos;&quot;&#65;&#x42;&#x1F600;</a>", "<>&'\"AB😀"},
		{"line ends", "<a>1\r\n2\r3\n</a>", "1\n2\n3\n"},
		{"line end by reference", "<a>&#13;</a>", "\r"},
		{"CDATA", "<a>1<![CDATA[<b>&amp;\r\n]]]]>2<![CDATA[]]>3</a>", "1<b>&amp;\n]]23"},
		{"mixed", "<a>1<b x='>'>2</b><!-- 0 -->3<?p 0?>4</a>", "1234"},
		{"blanks in tags", "<a  x = '1'\ty=\"2\" >x</a >", "x"},
		{"names", "<_é:ü-1.2·ſ>x</_é:ü-1.2·ſ>", "x"},
		{"undeclared prefix", "<p:a>x</p:a>", "x"},
		{"deep enough", strings.Repeat("<a>", 256) + "x" + strings.Repeat("</a>", 256), "x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := xmlpath.Parse([]byte(tt.body), xmlpath.Limits{})
			if err != nil {
				t.Fatalf("Parse: %v", err)
			}
			if got, _ := compile(t, "string(/)").Text(d); got != tt.want {
				t.Errorf("text = %q, want %q", got, tt.want)
			}
			if name, _ := compile(t, "local-name(/*)").Text(d); streamed(t, tt.body, "local-name(/*)") != name {
				t.Errorf("the stream and the tree disagree about the root")
			}
		})
	}
}

func TestAttributeValues(t *testing.T) {
	body := "<a x='1\r\n2\t3&#10;4' y='&lt;\"' z=\"'\"/>"
	for path, want := range map[string]string{"//a/@x": "1 2 3\n4", "//a/@y": `<"`, "//a/@z": "'", "//a/@w": ""} {
		if got, _ := compile(t, path).Text(parse(t, body)); got != want || streamed(t, body, path) != want {
			t.Errorf("%s = %q, streamed %q, want %q", path, got, streamed(t, body, path), want)
		}
	}
}

func TestMalformed(t *testing.T) {
	for _, tt := range []struct {
		name, body, want string
		line, column     int
	}{
		{"empty", "", "no root element", 1, 1},
		{"blank", "  ", "no root element", 1, 3},
		{"text only", "abc", "text outside the root", 1, 1},
		{"not closed", "<a>\n<b>", "ends inside an element", 2, 4},
		{"wrong end", "<a>\nпять</b>", "not that of the open element", 2, 5},
		{"longer end", "<a></ab>", "not that of the open element", 1, 4},
		{"end only", "</a>", "without a start tag", 1, 1},
		{"second root", "<a/><b/>", "second root", 1, 5},
		{"text after the root", "<a/>x", "text outside the root", 1, 5},
		{"CDATA after the root", "<a/><![CDATA[x]]>", "text outside the root", 1, 5},
		{"undefined entity", "<a>&who;</a>", "undefined entity", 1, 4},
		{"entity of a doctype", `<!DOCTYPE a [<!ENTITY who "x">]><a>&who;</a>`, "undefined entity", 1, 36},
		{"undefined entity in an attribute", "<a x='&who;'/>", "undefined entity", 1, 7},
		{"bare ampersand", "<a>a & b</a>", "undefined entity", 1, 6},
		{"reference to no character", "<a>&#0;</a>", "undefined entity", 1, 4},
		{"reference beyond Unicode", "<a>&#x110000;</a>", "undefined entity", 1, 4},
		{"reference to a surrogate", "<a>&#xD800;</a>", "undefined entity", 1, 4},
		{"XML 1.1", `<?xml version="1.1"?><a/>`, "not XML 1.0", 1, 1},
		{"no version", `<?xml encoding="UTF-8"?><a/>`, "without a version", 1, 1},
		{"declaration out of order", `<?xml version="1.0" standalone="no" encoding="x"?><a/>`, "broken XML declaration", 1, 37},
		{"late declaration", `<!--x--><?xml version="1.0"?><a/>`, "not at the beginning", 1, 9},
		{"two declarations", `<?xml version="1.0"?><?xml version="1.0"?><a/>`, "not at the beginning", 1, 22},
		{"late doctype", "<a/><!DOCTYPE a>", "not before the root", 1, 5},
		{"two doctypes", "<!DOCTYPE a><!DOCTYPE a><a/>", "not before the root", 1, 13},
		{"doctype not closed", "<!DOCTYPE a [<!ENTITY x 'y'>]<a/>", "does not end", 1, 1},
		{"unknown declaration", "<!ELEMENT a ANY><a/>", "declaration", 1, 1},
		{"attribute twice", "<a x='1' x='2'/>", "given twice", 1, 10},
		{"attribute without value", "<a x/>", "no value", 1, 5},
		{"attribute without quotes", "<a x=1/>", "no quotes", 1, 6},
		{"attribute with <", "<a x='<'/>", "< inside", 1, 7},
		{"attributes without a blank", "<a x='1'y='2'/>", "missing blank", 1, 9},
		{"open tag", "<a x='1'", "ends inside a tag", 1, 9},
		{"bad name", "<1/>", "no name", 1, 2},
		{"no name", "< a/>", "no name", 1, 2},
		{"slash inside", "<a/b>", "not closed by >", 1, 4},
		{"two dashes in a comment", "<a><!-- a -- b --></a>", "-- inside a comment", 1, 13},
		{"open comment", "<a><!-- ", "a comment does not end", 1, 4},
		{"open CDATA", "<a><![CDATA[x]]</a>", "a CDATA section does not end", 1, 4},
		{"end of CDATA in text", "<a>]]></a>", "]]> outside", 1, 4},
		{"control character", "<a>\x01</a>", "does not allow", 1, 4},
		{"not UTF-8", "<a>\xff</a>", "does not allow", 1, 4},
		{"not a character", "<a>\uffff</a>", "does not allow", 1, 4},
		{"control character in CDATA", "<a><![CDATA[\x00]]></a>", "does not allow", 1, 13},
		{"too deep", strings.Repeat("<a>", 257), "deeper than 256", 1, 769},
		{"too deep, empty", strings.Repeat("<a>", 256) + "<b/>", "deeper than 256", 1, 769},
		{"too many attributes", "<a" + manyAttributes(257) + "/>", "more than 256 attributes", 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := xmlpath.Parse([]byte(tt.body), xmlpath.Limits{})
			e, ok := errors.AsType[*xmlpath.SyntaxError](err)
			if !ok || !strings.Contains(e.Problem, tt.want) {
				t.Fatalf("Parse = %v, want %q", err, tt.want)
			}
			if e.Line != tt.line || tt.column != 0 && e.Column != tt.column {
				t.Errorf("place = %d:%d, want %d:%d", e.Line, e.Column, tt.line, tt.column)
			}
		})
	}
}

func manyAttributes(n int) string {
	var all strings.Builder
	for i := range n {
		all.WriteString(" a" + strconv.Itoa(i) + "=''")
	}
	return all.String()
}

func TestLimits(t *testing.T) {
	body := []byte("<a><b x='1'>t</b><c/></a>") // 3 elements, an attribute, a text
	if _, err := xmlpath.Parse(body, xmlpath.Limits{Nodes: 5, Depth: 2}); err != nil {
		t.Errorf("Parse within the limits: %v", err)
	}
	for _, limits := range []xmlpath.Limits{{Nodes: 4}, {Depth: 1}} {
		if _, err := xmlpath.Parse(body, limits); err == nil {
			t.Errorf("Parse over %+v succeeds", limits)
		}
	}
}
