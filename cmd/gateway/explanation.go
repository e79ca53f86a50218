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

// layoutRow is a line. Result is painted already; a row with a fault has its text.
type layoutRow struct{ label, what, result string }

const (
	// widestWhat is where the second column ends at the latest; what is longer has
	// its result on a line of its own.
	widestWhat = 60
	// longestValue bounds what is shown of a value, in characters.
	longestValue = 160
)

// add adds a line with a result, or with a remark in its place.
func (l *layout) add(label, what, result, remark string) {
	if remark != "" {
		result = strings.TrimSpace(result + " " + l.colours.faint(remark))
	}
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
		l.addRoute(s)
		return
	case routing.StageAuthority:
		if s.Error == "" {
			return // It is the result.
		}
		what = shownValue(s.Value)
	}
	switch {
	case s.Error != "":
		l.add(label, what, l.colours.bad("failed"), "")
	case s.Value == "" && s.Reason == "":
		l.add(label, what, l.colours.faint("nothing"), "")
	case s.Value == "":
		l.add(label, what, l.colours.faint("nothing: "+s.Reason), "")
	default:
		l.add(label, what, l.colours.value(shownValue(s.Value)), "")
	}
}

func (l *layout) addRoute(s routing.Step) {
	if s.Error != "" {
		l.add("route", "routeList", l.colours.bad("failed"), "")
		return
	}
	remark := ""
	if s.Reason != "" {
		remark = "(" + s.Reason + ")"
	}
	l.add("route", "routeList", l.colours.value(s.Value), remark)
}

// String is the table. A label that repeats is left out.
func (l *layout) String() string {
	labels, whats := 0, 0
	for _, r := range l.rows {
		labels = max(labels, utf8.RuneCountInString(r.label))
		if width := utf8.RuneCountInString(r.what); width <= widestWhat && r.result != "" {
			whats = max(whats, width)
		}
	}
	var out strings.Builder
	before := ""
	for _, r := range l.rows {
		label := r.label
		if label == before {
			label = ""
		}
		before = r.label
		line := l.indent + pad(label, labels) + "  "
		switch {
		case r.result == "":
			line += r.what
		case utf8.RuneCountInString(r.what) > widestWhat:
			line += r.what + "\n" + l.indent + pad("", labels+2+whats) + "  " + r.result
		default:
			line += pad(r.what, whats) + "  " + r.result
		}
		out.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return out.String()
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
