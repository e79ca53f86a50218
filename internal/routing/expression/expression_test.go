package expression_test

import (
	"fmt"
	"strings"
	"testing"

	"mqgateway/internal/field"
	"mqgateway/internal/flow"
	"mqgateway/internal/routing/expression"
)

// env declares A, B, Empty and a name that only brackets can read.
var env = expression.Env{Value: true, Variables: []string{"A", "B", "Empty", "x-y"}, Later: []string{"C"}}

func scope(value string) *expression.Scope {
	s := &expression.Scope{}
	s.Reset(&flow.Message{
		ID: "id-1", AppID: "app",
		Headers: []flow.Header{{Name: "Mode", Value: "Async"}, {Name: "n", Value: int32(5)}, {Name: "x-death", Value: "d"}},
	})
	s.SetValue(value)
	for _, text := range []string{"alpha", "Бета", "", "dash"} {
		s.AddVariable(text)
	}
	return s
}

func run(t *testing.T, source, value string) (string, error) {
	t.Helper()
	p, err := expression.Compile(source, env)
	if err != nil {
		t.Fatalf("Compile(%q): %v", source, err)
	}
	return p.Run(scope(value))
}

func TestRun(t *testing.T) {
	for _, tt := range []struct{ source, value, want string }{
		// Java's methods, in characters
		{`value.substring(0,value.length()-2)`, "СервисRq", "Сервис"},
		{`value.substring(2)`, "Привет", "ивет"},
		{`value.substring(6)`, "Привет", ""},
		{`value.substring(1,1)`, "ab", ""},
		{`value.toLowerCase()`, "АбВ", "абв"},
		{`value.toUpperCase()`, "абв", "АБВ"},
		{`value.trim()`, "\t a b\u00a0 \n", "a b\u00a0"},
		{`value.strip()`, " \u2003a ", "a"},
		{`value.replace('.', '-')`, "a.b.c", "a-b-c"},
		{`value.replace('', '-')`, "ab", "-a-b-"},
		{`value.replaceAll('[0-9]+', '#')`, "a1b22", "a#b#"},
		{`value.replaceAll('(\w)(\d)', '$2$1')`, "a1b2", "1a2b"},
		{`value.replaceAll('(?<l>[a-z])', '${l}${l}')`, "ab", "aabb"},
		{`value.replaceAll('a', '\$1')`, "a", "$1"},
		{`value.replaceAll('(a)', '$12')`, "a", "a2"},
		{`value.replaceAll('(a)|(b)', '[$2]')`, "ab", "[][b]"},
		{`value.replaceFirst('\d', '')`, "a1b2", "ab2"},
		{`value.concat('-rs')`, "a", "a-rs"},
		{`value.equals('a') ? 'yes' : 'no'`, "a", "yes"},
		{`value.equalsIgnoreCase('ПРИВЕТ') ? 'yes' : 'no'`, "привет", "yes"},
		{`value.contains('b') && value.startsWith('a') && value.endsWith('c') ? 'yes' : 'no'`, "abc", "yes"},
		{`value.matches('a.c') ? 'whole' : 'part'`, "abcd", "part"},
		{`value.matches('a|abcd') ? 'whole' : 'part'`, "abcd", "whole"},
		{`'' + value.indexOf('в') + value.indexOf('x') + value.lastIndexOf('т')`, "Привет", "3-15"},
		{`'' + value.indexOf('a', 1) + value.indexOf('a', -5) + value.indexOf('a', 99)`, "aба", "-10-1"},
		{`value.charAt(1)`, "Ёж", "ж"},
		{`value.isEmpty() ? 'e' : value.isBlank() ? 'b' : 'x'`, " ", "b"},
		{`value.split('-')[1]`, "a-b-c--", "b"},
		{`'' + value.split('-').length`, "a-b-c--", "3"},
		{`'' + len(value.split('\.', 2)) + value.split('\.', 2)[1]`, "a.b.c", "2b.c"},
		{`value.split('')[0]`, "ёж", "ё"},
		{`value.split('x')[0]`, "abc", "abc"},
		{`value.toString().repeat(2)`, "ab", "abab"},
		{`value.toLowerCase().replace('rq', 'rs').concat('-x')`, "ABRq", "abrs-x"},
		{`value?.length() + 'x'`, "abc", "3x"},
		// Go's functions and slices
		{`value[0:len(value)-2]`, "СервисRq", "Сервис"},
		{`value[2:] + value[:2] + value[:]`, "Привет", "иветПрПривет"},
		{`value[-2:] + value[:-2] + value[-3:-1]`, "Привет", "етПривве"},
		{`value[0] + value[-1]`, "Привет", "Пт"},
		{`toLower(value) + toUpper(value) + lower(value) + upper(value)`, "Аб", "абАБабАБ"},
		{`trim(value) + trim(value, ' a')`, " ab ", "abb"},
		{`trimPrefix(trimSuffix(value, 'Rq'), 'p')`, "pXRq", "X"},
		{`replace(value, 'a', 'b') + replace(value, 'a', 'b', 1)`, "aa", "bbba"},
		{`replaceAll(value, '[a-c]', 'x') + concat(value, '1', '2')`, "ad", "xdad12"},
		{`split(value, '.')[1] + first(split(value, '.')) + last(split(value, '.')) + join(split(value, '.'), '-') + join(split(value,'.'))`, "a.b", "baba-bab"},
		{`'' + len(split(value, ',')) + len(split(value, ',', 2))`, "a,b,", "32"},
		{`'' + indexOf(value, 'б') + lastIndexOf(value, 'б')`, "абб", "12"},
		{`hasPrefix(value, 'a') and hasSuffix(value, 'b') ? 'y' : 'n'`, "ab", "y"},
		{`value contains 'b' ? 'y' : 'n'`, "abc", "y"},
		{`value startsWith 'a' and value endsWith 'c' and value matches 'b' ? 'y' : 'n'`, "abc", "y"},
		{`not (value matches '^b') ? 'y' : 'n'`, "abc", "y"},
		{`value in ['a', 'b'] ? 'y' : 'n'`, "b", "y"},
		{`value not in ['a', 'b'] ? 'y' : 'n'`, "b", "n"},
		{`value in split('a b', ' ') ? 'y' : 'n'`, "b", "y"},
		{`value | lower() | trim()`, " A ", "a"},
		{`'async' == toLower(value) ? 'svc-async':value`, "Async", "svc-async"},
		{`'async' == toLower(value) ? 'svc-async':value`, "Sync", "Sync"},
		{`string(5) + string(true) + string(1.5) + int(value) * 2`, "21", "5true1.542"},
		// both
		{`A+'-'+B+'-'+variables['x-y']`, "", "alpha-Бета-dash"},
		{`variables.A + variables["B"] + variables.get('A')`, "", "alphaБетаalpha"},
		{`variables[value]`, "B", "Бета"},
		{`variables['A'][0:2] + variables['A'].length()`, "", "al5"},
		{`('a')`, "", "a"},
		{`"text" + 'text'`, "", "texttext"},
		{"`raw\\n`", "", `raw\n`},
		{`'it''s' + "a""b" + '' + ""`, "", `it'sa"b`},
		{`'\d\q\'\\\n\u0416\x41\101' + "\""`, "", "\\d\\q'\\\nЖAA\""},
		{`value + 1 + 2`, "a", "a12"},
		{`1 + 2 + value`, "a", "3a"},
		{`value + (7 / 2) + (7 % 4) + (7.0 / 2) + (2 * 3 - 1) + -1 + true`, "a", "a333.55-1true"},
		{`value.substring(0, value.length() / 2)`, "abcde", "ab"},
		{`value eq 'a' or value ne 'b' and 1 lt 2 and 2 gt 1 and 1 le 1 and 1 ge 1 ? 'y' : 'n'`, "a", "y"},
		{`value EQ 'a' AND NOT (value == 'b') ? 'y' : 'n'`, "a", "y"},
		{`'' + 7 mod 4 + 7 div 2`, "", "33"},
		{`value > 'а' && value < 'в' ? 'y' : 'n'`, "б", "y"},
		{`!value.isEmpty() || false ? 'y' : 'n'`, "", "n"},
		{`value ? : 'b'`, "", "b"},
		{`value ?: 'b' ?: 'c'`, "a", "a"},
		{`'' ?: '' ?: 'c'`, "", "c"},
		{`value ?? 'b'`, "", "b"},
		{`(value == 'a' ? 'x' : '') ?: 'z'`, "b", "z"},
		{`value == null ? 'n' : value != nil ? 'y' : 'x'`, "a", "y"},
		{"value // the rest\n + /* no */ 'x'", "a", "ax"},
		{"value\n\t+ 'x'", "a", "ax"},
		// headers
		{`headers['MsgId'] + headers.PutApplName + headers['jmsmessageid'] + headers['CorrelId']`, "", "id-1appid-1"},
		{`userHeaders['Mode'] + userHeaders['mode'] + userHeaders.n + userHeaders['x-death']`, "", "Async5"},
		{`headers[value] + userHeaders[value]`, "n", "5"},
		{`headers['Report'] + headers['Priority']`, "", ""},
		{`'Mode' in userHeaders && !('mode' in userHeaders) && 'MsgId' in headers && 'A' in variables && !variables.containsKey('Empty') ? 'y' : 'n'`, "", "y"},
		// variables without a value
		{`Empty ?: 'none'`, "", "none"},
		{`variables['Empty'] ?: A`, "", "alpha"},
		{`variables['Empty'].toLowerCase().trim() ?: A`, "", "alpha"},
		{`(value == 'a' ? Empty : A) ?: 'none'`, "a", "none"},
		{`(Empty ?: variables[value]) ?: 'none'`, "Empty", "none"},
		{`Empty == '' ? 'none' : Empty`, "", "none"},
		{`'' != Empty ? Empty : 'none'`, "", "none"},
		{`Empty.equals('') || ''.equals(Empty) || Empty == null ? 'none' : 'x'`, "", "none"},
		{`value == 'a' ? A : Empty`, "a", "alpha"},
	} {
		if got, err := run(t, tt.source, tt.value); err != nil || got != tt.want {
			t.Errorf("%s over %q = %q, %v, want %q", tt.source, tt.value, got, err, tt.want)
		}
	}
}

func TestRunErrors(t *testing.T) {
	long := strings.Repeat("x", 1<<19)
	for _, tt := range []struct{ source, value, want string }{
		{`value.substring(0, 9)`, "абв", `evaluating "value.substring(0, 9)" over a value of 3 characters: substring(0, 9) is out of range of 3 characters`},
		{`value.substring(4)`, "абв", "substring(4) is out of range of 3 characters"},
		{`value.substring(-1)`, "a", "substring(-1) is out of range of 1 character"},
		{`value.substring(0, value.length()-2)`, "a", "substring(0, -1) is out of range of 1 character"},
		{`value.substring(2, 1)`, "abc", "substring(2, 1) is out of range"},
		{`value[0:len(value)-2]`, "a", "over a value of 1 character: the computed place -1 is out of range"},
		{`value[len(value)-2:]`, "a", "the computed place -1"},
		{`value[len(value)-2]`, "a", "the computed place -1"},
		{`value[1:9]`, "абв", "[1:9] is out of range of 3 characters"},
		{`value[4:]`, "абв", "[4:] is out of range"},
		{`value[-4:]`, "абв", "[-4:] is out of range"},
		{`value[3]`, "абв", "[3] is out of range"},
		{`value.charAt(3)`, "абв", "charAt(3) is out of range"},
		{`value.charAt(-1)`, "абв", "charAt(-1) is out of range"},
		{`value.split('-')[2]`, "a-b", "[2] is out of range of 2 parts"},
		{`'x' + 5 / value.indexOf('a')`, "a", "division by zero"},
		{`'x' + 5 % value.indexOf('a')`, "a", "division by zero"},
		{`'x' + int(value)`, "a", "no whole number"},
		{`value.repeat(0 - 1)`, "a", "negative"},
		{`value.repeat(1000000)`, "abc", "longer than"},
		{`value + value + value`, long, "longer than"},
		{`value.replace('x', 'yyyy')`, long, "longer than"},
		{`value.replaceAll('x', '$0$0$0')`, long, "longer than"},
		{`value.replaceAll('a', value)`, "a$1", "without a group"},
		{`Empty`, "", `variable "Empty" has no value`},
		{`A + variables['Empty']`, "", `variable "Empty" has no value`},
		{`(Empty + 'x') ?: 'b'`, "", `variable "Empty" has no value`},
		{`Empty == 'a' ? 'x' : 'y'`, "", `variable "Empty" has no value`},
		{`value == 'a' ? A : Empty`, "b", `variable "Empty" has no value`},
		{`A ?: 'x' + Empty.toLowerCase().concat('-')`, "", ""},
		{`variables[value]`, "Empty", `variable "Empty" has no value`},
		{`variables[value]`, "Nope", "no variable has the computed name"},
	} {
		got, err := run(t, tt.source, tt.value)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.source, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s over %d bytes = %q, %v, want %q", tt.source, len(tt.value), got, err, tt.want)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	for _, tt := range []struct {
		source, want string
		offset       int
	}{
		// what the language leaves out, by name
		{`T(java.lang.Math).abs(1)`, "T(...) is not supported", 0},
		{`'a' + new String('b')`, "new is not supported", 6},
		{`@bean.name`, "@bean is not supported", 0},
		{`#root`, "#var is not supported", 0},
		{`value = 'a'`, "assignments (=)", 6},
		{`let x = 1; 'a'`, "assignments (let)", 0},
		{`value.![length()]`, "projection", 5},
		{`value.?[true]`, "selection", 5},
		{`variables.^[true]`, "selection", 9},
		{`#{value}`, "templates", 0},
		{`'${x}' + ${x}`, "placeholders", 9},
		{`$env`, "$env is not supported", 0},
		{`'a'; 'b'`, "only one expression", 3},
		{`{'a'}`, "braces", 0},
		{`value instanceof String`, "instanceof", 6},
		{`value++`, "++", 5},
		{`filter(['a'], true)[0]`, "unknown function filter()", 0},
		{`b'abc'`, "unexpected token", 1},
		{`'a' & 'b'`, "& is not supported", 4},
		{`2 ** 3 + ''`, "the operator ** is not supported", 2},
		{`1..2`, "", 0},
		// names
		{`SCName`, `unknown name "SCName"`, 0},
		{`Emty`, `did you mean "Empty"?`, 0},
		{`variables['Nope']`, `variable "Nope" is not declared`, 10},
		{`'я' + variables['a']`, `did you mean "A"?`, 16},
		{`C`, "computed only after this one", 0},
		{`variables['C']`, "computed only after this one", 10},
		{`headers['MsgIdd']`, `did you mean "MsgId"?`, 8},
		{`variables`, "needs the name of what to read", 0},
		{`headers + 'a'`, "needs the name of what to read", 0},
		{`variables[1]`, "read by a name in quotes", 10},
		{`variables.size()`, "variables.size() is not supported", 10},
		// bare names of services
		{`system1-anotherservice-system2-rs`, "put the name of a service in quotes", 0},
		{`my.svc:5454`, "put the name of a service in quotes", 0},
		{`1svc-a`, "put the name of a service in quotes", 0},
		{`test-app`, `"'test-app'"`, 0},
		{`A-B`, "- subtracts numbers, not a text and a text", 1},
		// types
		{`value.length()`, "the result is a number", 6},
		{`value == 'a'`, "the result is a condition", 6},
		{`value.split('-')`, "the result is a list", 6},
		{`value == 5 ? 'a' : 'b'`, "== compares a text with a number", 6},
		{`value ? 'a' : 'b'`, "? needs a condition, not a text", 0},
		{`true ? 'a' : 5`, "must be alike", 13},
		{`5 ?: 'a'`, "?: needs a text on its left", 0},
		{`value ?: 5`, "?: needs a text on its right", 9},
		{`value && true ? 'a' : 'b'`, "&& needs a condition", 0},
		{`!value`, "! needs a condition", 1},
		{`-value`, "- needs a number", 0},
		{`value * 2`, "* needs numbers", 6},
		{`value + null`, "+ needs a text, not null", 8},
		{`true + false`, "+ joins texts or adds numbers", 5},
		{`value < 5 ? 'a' : 'b'`, "< compares two texts or two numbers", 6},
		{`value.substring('a')`, "substring() needs a number here, not a text", 16},
		{`value.substring()`, "substring() does not take 0 arguments", 6},
		{`value.substring(1,2,3)`, "substring() does not take 3 arguments", 6},
		{`value[1.5:]`, "a slice needs whole numbers", 6},
		{`value['a']`, `has no property "a"`, 5},
		{`value.length`, `has no property "length"`, 6},
		{`value.toLowercase()`, `unknown method toLowercase(); did you mean "toLowerCase"?`, 6},
		{`tolower(value)`, `unknown function tolower(); did you mean "toLower"?`, 0},
		{`value in 'abc' ? 'a' : 'b'`, "in needs a list", 9},
		{`['a','b'][0]`, "a list may stand only behind in", 0},
		{`'a' in [1] ? 'a' : 'b'`, "a list needs a text", 8},
		{`'a'()`, "", 3},
		// patterns
		{`value.replaceAll('(?=a)', '')`, "look-ahead", 17},
		{`value.matches('(?<!a)b') ? 'a' : 'b'`, "look-behind", 14},
		{`value.replaceAll('(a)\1', '')`, "back-reference", 17},
		{`value.matches('(?>a)') ? 'a' : 'b'`, "atomic group", 14},
		{`value.matches('a*+') ? 'a' : 'b'`, "possessive", 14},
		{`value.matches('[a-z&&[^b]]') ? 'a' : 'b'`, "intersection", 14},
		{`value.matches('[a[b]]') ? 'a' : 'b'`, "class inside a class", 14},
		{`value matches '(' ? 'a' : 'b'`, "the pattern is broken", 14},
		{`value.matches(A) ? 'a' : 'b'`, "a pattern has to be a literal", 14},
		{`value.replaceAll('a', '$1')`, "the replacement has a $ without a group", 22},
		{`value.replaceAll('(a)', '${x}')`, "names a group ${x}", 24},
		// syntax
		{``, "unexpected token EOF", 0},
		{`'abc`, "the text does not end", 0},
		{`'a' + `, "unexpected token EOF", 5},
		{`value.substring(1`, "unexpected token EOF", 16},
		{`/* x`, "the comment does not end", 0},
		{`value 'a'`, "unexpected token", 6},
		{`'я' eq eq`, `unknown name "eq"`, 7},
		{"'\xff'", "not UTF-8", 0},
		{strings.Repeat(" ", 20000), "longer than", 0},
		{strings.Repeat("A+", 3000) + "A", "maximum allowed nodes", -1},
		{strings.Repeat("(", 8000) + strings.Repeat(")", 8000), "unexpected token", -1},
	} {
		_, err := expression.Compile(tt.source, env)
		all := field.All(err)
		if len(all) != 1 || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Compile(%.40q) = %v, want %q", tt.source, err, tt.want)
			continue
		}
		if all[0].Offset != tt.offset && tt.offset >= 0 {
			t.Errorf("Compile(%.40q) = %v: offset %d, want %d", tt.source, err, all[0].Offset, tt.offset)
		}
	}
}

func TestValueIsNotEverywhere(t *testing.T) {
	_, err := expression.Compile("value", expression.Env{Variables: []string{"A"}})
	if err == nil || !strings.Contains(err.Error(), "read a variable here") {
		t.Errorf("Compile = %v", err)
	}
}

func TestConstant(t *testing.T) {
	for source, want := range map[string]string{`'a' + "-" + 'b'`: "a-b", `('x')`: "x"} {
		p, err := expression.Compile(source, expression.Env{})
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := p.Constant(); !ok || got != want {
			t.Errorf("Constant() of %s = %q, %v, want %q", source, got, ok, want)
		}
	}
}

func ExampleCompile() {
	p, err := expression.Compile("value.substring(0, value.length()-2).toLowerCase() + '-' + Target", expression.Env{
		Value: true, Variables: []string{"Target"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	var s expression.Scope
	s.Reset(&flow.Message{})
	s.SetValue("ПереводRq")
	s.AddVariable("bank")
	fmt.Println(p.Run(&s))
	// Output: перевод-bank <nil>
}

// FuzzCompile compiles and runs any source; it must end, without a panic.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		`value.substring(0,value.length()-2)`, `A ?: variables['B'] + '-' + headers['MsgId'][0:1]`, `value eq 'a' ? 'x' : "y"`,
		`value.replaceAll('(a)', '$1').split('\.')[0]`, `value in ['a','b'] and not (value matches '^a') ? value[1:] : ''`, `'it''s' + 5 / 2`,
		`value | lower() | trim()`, `T(x)`, `a.![b]`,
	} {
		f.Add(seed, "абв-x")
	}
	f.Fuzz(func(t *testing.T, source, value string) {
		p, err := expression.Compile(source, env)
		if err != nil {
			if at := field.All(err)[0].Offset; at < 0 || at > len([]rune(source)) {
				t.Errorf("offset %d of %v is outside %q", at, err, source)
			}
			return
		}
		first, err := p.Run(scope(value))
		second, errAgain := p.Run(scope(value))
		if first != second || (err == nil) != (errAgain == nil) {
			t.Errorf("%q over %q yields %q, %v, then %q, %v", source, value, first, err, second, errAgain)
		}
	})
}
