package expression

// parameter is what an argument must be.
type parameter uint8

const (
	textParameter parameter = iota
	wholeParameter
	listParameter
	anyParameter
	// Patterns are literals, so that they are checked when they are compiled.
	javaPatternParameter
	javaWholePatternParameter
)

// signature is a function or method as expressions see it. The receiver of a
// method is its first parameter.
type signature struct {
	calls      string // of machineFunctions
	result     kind
	least      int
	parameters []parameter
	// keepsEmpty says that of an empty text it makes an empty one.
	keepsEmpty bool
}

func of(calls string, result kind, parameters ...parameter) signature {
	return signature{calls: calls, result: result, least: len(parameters), parameters: parameters}
}

// optional makes the last n parameters optional.
func (s signature) optional(n int) signature {
	s.least -= n
	return s
}

// emptyKept marks a function of which an empty text comes out empty.
func (s signature) emptyKept() signature {
	s.keepsEmpty = true
	return s
}

const (
	text  = textParameter
	whole = wholeParameter
	list  = listParameter
)

// methods are those of Java's String.
var methods = map[string]signature{
	"length":           of("length", wholeKind, text),
	"substring":        of("substring", textKind, text, whole, whole).optional(1),
	"toLowerCase":      of("lower", textKind, text).emptyKept(),
	"toUpperCase":      of("upper", textKind, text).emptyKept(),
	"trim":             of("trimJava", textKind, text).emptyKept(),
	"strip":            of("trim", textKind, text).emptyKept(),
	"replace":          of("replace", textKind, text, text, text),
	"replaceAll":       of("replaceAll", textKind, text, javaPatternParameter, text),
	"replaceFirst":     of("replaceFirst", textKind, text, javaPatternParameter, text),
	"concat":           of("concat", textKind, text, text),
	"equals":           of("equals", flagKind, text, text),
	"equalsIgnoreCase": of("equalsIgnoreCase", flagKind, text, text),
	"contains":         of("contains", flagKind, text, text),
	"startsWith":       of("startsWith", flagKind, text, text),
	"endsWith":         of("endsWith", flagKind, text, text),
	"matches":          of("matchesPart", flagKind, text, javaWholePatternParameter),
	"indexOf":          of("indexOf", wholeKind, text, text, whole).optional(1),
	"lastIndexOf":      of("lastIndexOf", wholeKind, text, text),
	"charAt":           of("charAt", textKind, text, whole),
	"isEmpty":          of("isEmpty", flagKind, text),
	"isBlank":          of("isBlank", flagKind, text),
	"split":            of("splitJava", listKind, text, javaPatternParameter, whole).optional(1),
	"repeat":           of("repeat", textKind, text, whole).emptyKept(),
	"toString":         of("string", textKind, anyParameter),
}

// functions are those of expr, and the methods as functions of their receiver.
// len and concat take what no signature says.
var functions = func() map[string]signature {
	all := map[string]signature{
		"toLower":    of("lower", textKind, text).emptyKept(),
		"toUpper":    of("upper", textKind, text).emptyKept(),
		"lower":      of("lower", textKind, text).emptyKept(),
		"upper":      of("upper", textKind, text).emptyKept(),
		"trim":       of("trim", textKind, text, text).optional(1).emptyKept(),
		"trimPrefix": of("trimPrefix", textKind, text, text).emptyKept(),
		"trimSuffix": of("trimSuffix", textKind, text, text).emptyKept(),
		"hasPrefix":  of("startsWith", flagKind, text, text),
		"hasSuffix":  of("endsWith", flagKind, text, text),
		"replace":    of("replace", textKind, text, text, text, whole).optional(1),
		"split":      of("split", listKind, text, text, whole).optional(1),
		"join":       of("join", textKind, list, text).optional(1),
		"first":      of("first", textKind, list),
		"last":       of("last", textKind, list),
		"string":     of("string", textKind, anyParameter),
		"int":        of("int", wholeKind, text),
	}
	for name, method := range methods {
		if _, known := all[name]; !known {
			all[name] = method
		}
	}
	return all
}()
