package main

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"mqgateway/internal/flow"
	"mqgateway/internal/routing"
)

// layout shows the steps of an explanation in columns: what a step is for, what
// was run, and what came out.
type layout struct {
	colours palette
	indent  string
	rows    []layoutRow
}

// layoutRow is a line; its result is painted already.
type layoutRow struct{ label, what, result string }

const (
	// widestWhat is where the second column ends at the latest; what is longer has
	// its result on a line of its own.
	widestWhat = 60
	// longestValue bounds what is shown of a value, in characters.
	longestValue = 160
)

func (l *layout) add(label, what, result string) {
	l.rows = append(l.rows, layoutRow{label, what, result})
}

func (l *layout) addSteps(x *routing.Explanation) {
	for _, s := range x.Steps {
		l.addStep(s)
	}
}

func (l *layout) addStep(s routing.Step) {
	label, what := string(s.Stage), oneLine(s.Rule+s.Expression)
	switch s.Stage {
	case routing.StageVariable:
		label = "variable " + s.Variable
	case routing.StageSubstitution:
		label, what = string(routing.StageDestination), "destinations"
	case routing.StageRoute:
		what = "routeList"
	case routing.StageAuthority:
		if s.Error == "" {
			return // It is the result.
		}
		what = shownValue(s.Value)
	}
	l.add(label, what, l.result(s))
}

// result is what came out of a step.
func (l *layout) result(s routing.Step) string {
	switch {
	case s.Error != "":
		return l.colours.bad("failed")
	case s.Value == "" && s.Reason == "":
		return l.colours.faint("nothing")
	case s.Value == "":
		return l.colours.faint("nothing: " + s.Reason)
	case s.Reason == "":
		return l.colours.value(shownValue(s.Value))
	default:
		return l.colours.value(shownValue(s.Value)) + " " + l.colours.faint("("+s.Reason+")")
	}
}

// String is the table. A label that repeats is left out.
func (l *layout) String() string {
	var out strings.Builder
	labels, whats := l.widths()
	before := ""
	for _, r := range l.rows {
		label := r.label
		if label == before {
			label = ""
		}
		before = r.label
		start := l.indent + pad(label, labels)
		if r.result != "" && utf8.RuneCountInString(r.what) > widestWhat {
			fmt.Fprintf(&out, "%s  %s\n", start, r.what)
			start, r.what = l.indent+pad("", labels), ""
		}
		out.WriteString(strings.TrimRight(start+"  "+pad(r.what, whats)+"  "+r.result, " ") + "\n")
	}
	return out.String()
}

// widths are those of the first two columns.
func (l *layout) widths() (labels, whats int) {
	for _, r := range l.rows {
		labels = max(labels, utf8.RuneCountInString(r.label))
		if width := utf8.RuneCountInString(r.what); r.result != "" && width <= widestWhat {
			whats = max(whats, width)
		}
	}
	return labels, whats
}

// outcome is the last lines: the destination, or the error and what to do.
func (l *layout) outcome(x *routing.Explanation) string {
	if x.Error == nil {
		return fmt.Sprintf("%s=> %s by %s\n", l.indent, l.colours.good(x.Destination), x.TransportType)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s=> %s\n", l.indent, l.colours.bad(fmt.Sprintf("no destination: %d %s", x.Error.Code, x.Error.Name)))
	fmt.Fprintf(&out, "%s   %s\n", l.indent, oneLine(x.Error.Message))
	if hint := remedy(x); hint != "" {
		fmt.Fprintf(&out, "%s   %s\n", l.indent, l.colours.faint(hint))
	}
	return out.String()
}

// remedy says what to do about a message without a destination.
func remedy(x *routing.Explanation) string {
	if len(x.Steps) == 0 {
		return ""
	}
	last := x.Steps[len(x.Steps)-1]
	switch {
	case last.Stage == routing.StageBody:
		return "Give the charset in ContentType and the compression in ContentEncoding, as the sender does; mq.maxMsgLength bounds the size."
	case x.Error.Code == int(flow.BadMessage) && last.Rule != "":
		return "The sender has to correct the body; parser.xml.maxDepth and parser.json.maxDepth bound how deep it is nested."
	}
	switch last.Stage {
	case routing.StageRoute:
		return "Add an entry of this name to routing.routeList, or one named default, which takes every message."
	case routing.StageRouteName, routing.StageVariable:
		return "Make the expression hold for every text, as in: len(value) > 2 ? value[0:2] : value"
	case routing.StageDestination:
		return "Give the variable one more rule, such as fromConst, or the expression another text: Name ?: 'other'"
	case routing.StageAuthority:
		return "A destination is host or host:port, of letters, digits, - and _; routing.allowedDestinations may allow fewer."
	default:
		return ""
	}
}

// shownValue is a value between quotes, and how long it is when it is cut.
func shownValue(text string) string {
	length := utf8.RuneCountInString(text)
	if length <= longestValue {
		return strconv.Quote(text)
	}
	return fmt.Sprintf("%q… (%d characters)", string([]rune(text)[:longestValue]), length)
}

// oneLine joins the lines of an expression.
func oneLine(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.TrimSpace(strings.Join(lines, " "))
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(width-utf8.RuneCountInString(text), 0))
}
