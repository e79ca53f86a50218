package xmlpath_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/antchfx/xmlquery"
)

// TestWhereTheLibraryDeviates holds us to XPath 1.0 where antchfx/xpath does not
// follow it. These paths are why this package evaluates by itself: one that the
// library gets right after an update moves to the forms of the test below.
func TestWhereTheLibraryDeviates(t *testing.T) {
	for _, tt := range []struct{ path, body, want string }{
		// a position behind another predicate counts among all of the document
		{"//c[@x][2]", `<r><c x="1"><c x="2">3</c></c></r>`, ""},
		{"//*[local-name()='a'][2]", `<r><a><a>3</a></a></r>`, ""},
		{"//b[@x][position()=1]", `<r><a>3</a><b x="2">2</b></r>`, "2"},
		{"//a[@x='1'][last()]", `<r><a x="1"><a x="1">4</a><a>5</a></a></r>`, "45"},
		// position() counts siblings, in a set of other nodes too
		{"(//c)[position()=2]", `<r><c><c>3</c></c></r>`, "3"},
		{"(//b/a)[2]", `<r><b><b><a>2</a></b><a>4</a></b></r>`, "4"},
		{"//a/ancestor::c[last()]", `<r><c><a>5</a></c><c>1</c></r>`, "5"},
		{"//a/following::a[2]", `<r><a>5</a><a>5</a><a>3</a></r>`, "3"},
		{"//a/preceding::b[1]", `<r><a><b><b>3</b><b>1</b></b><a>5</a></a></r>`, "1"},
		{"//a/following-sibling::*[last()]", `<r><a>2</a><a>4</a></r>`, "4"},
		// sets are in the order of finding, not of the document
		{"(//b | //c)[2]", `<r><c>2</c><b>1</b></r>`, "1"},
		{"string(//c | //a)", `<r><a>5</a><c>3</c></r>`, "5"},
		{"name(//a/ancestor::*)", `<r><b><a/></b></r>`, "r"},
		{"//c[@x=1]", `<r><a><c x="1">1</c></a><c x="1">2</c></r>`, "1"},
		// sets have a node more than once
		{"count(//c/..)", `<r><c>4</c><c>5</c></r>`, "1"},
		{"count(//a//a)", `<r><a><a><a>4</a></a></a></r>`, "2"},
		{"count(//a/following::b)", `<r><a>5</a><a>1</a><b>2</b></r>`, "1"},
		{"sum(//c/following-sibling::b)", `<r><c/><c/><b>2</b></r>`, "2"},
		{"sum(//c)", `<r><c>1</c><c>x</c></r>`, "NaN"},
		// a predicate on the left moves what the right is relative to
		{"//b[a[1]=a]/@x", `<r><b x="2"><a>5</a></b></r>`, "2"},
		{"//c[a[@x='2']=a]", `<r><c x="1"><a x="2">1</a></c></r>`, "1"},
		{"//a[concat(c[1],b)='12']/@x", `<r><a x="7"><b>2</b><c>1</c></a></r>`, "7"},
		// of nodes on the right the first counts, as a number
		{"'b' = //a", `<r><a>a</a><a>b</a></r>`, "true"},
		{"2 < //a", `<r><a>1</a><a>3</a></r>`, "true"},
		{"//a = true()", `<r><a>x</a></r>`, "true"},
		// names of a prefix
		{"//p:*", `<r xmlns:p="urn:p"><p:a>1</p:a></r>`, "1"},
	} {
		got, err := compile(t, tt.path).Text(parse(t, tt.body))
		if err != nil || got != tt.want {
			t.Errorf("%s over %s = %q, %v, want %q", tt.path, tt.body, got, err, tt.want)
		}
		if library := libraryText(t, libraryTree(t, tt.body), tt.path); library == tt.want {
			t.Errorf("%s over %s: the library finds %q now", tt.path, tt.body, library)
		}
	}
}

func libraryTree(t *testing.T, body string) *xmlquery.Node {
	t.Helper()
	tree, err := xmlquery.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatalf("Parse(%q): %v", body, err)
	}
	return tree
}

// TestFindsWhatTheLibraryFinds compares over random bodies, by forms of paths
// that the library evaluates by XPath 1.0, the first found first in the
// document. N stands for a name, K for a number.
func TestFindsWhatTheLibraryFinds(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, form := range []string{
		"/r/N", "/r/N/N", "/r/*/N/@x", "//N", "//N/@x", "/r/N[K]", "/r/N[last()]", "/r/*[position()=K]", "/r/N[position()>K]/@x",
		"//N[.='K']", "//N[@x='K']/@x", "//N[N='K']/@x", "//N[N!='K']", "/r/*/N[N>K]", "/r/*/N[N<=K]/@x", "/r/*/N[@x=K]", "//N[N=@x]", "//N[N=N]", "//N[@x>N]",
		"//N=//N", "//N!=//N/N", "//N[N and @x]", "//N[N or @x]", "//N[not(N)]", "//N[not(N='K')]", "//N[.//N]", "//N[parent::N]", "//N[N/N]/@x",
		"//N[ancestor::N]", "//N[preceding-sibling::N]", "//N[following-sibling::N]/@x", "//N[preceding::N]", "//N[following::N]",
		"count(//N)", "count(/r/N/N)", "count(//N[N])", "/r/*/N[count(N)=K]", "/r/*/N[count(*)>K]/@x", "string(//N)", "name(//N/@x)", "local-name(//N)",
		"//N[starts-with(.,'K')]", "//N[contains(N,'K')]", "/r/*/N[string-length(.)=K]", "string-length(//N)", "concat(//N,'-',//N)",
		"substring(//N,K)", "substring-after(//N,'K')", "translate(//N,'K','x')", "normalize-space(//N)", "/r/*/N[N+N=K]", "-//N", "round(//N div 2)",
	} {
		for range 100 {
			path, body := filled(form, random), randomBody(random)
			got, err := compile(t, path).Text(parse(t, body))
			if want := libraryText(t, libraryTree(t, body), path); err != nil || got != want {
				t.Errorf("%s over %s = %q, %v, the library has %q", path, body, got, err, want)
			}
		}
	}
}

func filled(form string, random *rand.Rand) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case 'N':
			return 'a' + random.Int32N(3)
		case 'K':
			return '1' + random.Int32N(3)
		}
		return r
	}, form)
}

func randomBody(random *rand.Rand) string {
	var out strings.Builder
	out.WriteString("<r>")
	for range 1 + random.IntN(4) {
		writeNumbers(&out, random, 3)
	}
	out.WriteString("</r>")
	return out.String()
}

// writeNumbers writes an element with others or a number in it.
func writeNumbers(out *strings.Builder, random *rand.Rand, depth int) {
	name := filled("N", random)
	fmt.Fprintf(out, "<%s", name)
	if random.IntN(2) == 0 {
		fmt.Fprint(out, filled(` x="K"`, random))
	}
	out.WriteString(">")
	inside := 0
	if depth > 0 {
		inside = random.IntN(4)
	}
	if inside == 0 {
		out.WriteString(filled("K", random))
	}
	for range inside {
		writeNumbers(out, random, depth-1)
	}
	fmt.Fprintf(out, "</%s>", name)
}
