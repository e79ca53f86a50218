package main

import (
	"fmt"
	"io"
	"strings"
)

// testReport is what came out of all cases.
type testReport struct {
	Cases  []caseResult `json:"cases"`
	Passed int          `json:"passed"`
	Failed int          `json:"failed"`
}

func (r *testReport) add(c caseResult) {
	r.Cases = append(r.Cases, c)
	if c.OK {
		r.Passed++
	} else {
		r.Failed++
	}
}

// print tells each case on a line below the name of its file, what differs and
// why, and the sum.
func (r *testReport) print(w io.Writer) error {
	p := paletteFor(w)
	var out strings.Builder
	file := ""
	for _, c := range r.Cases {
		if c.File != file {
			file = c.File
			fmt.Fprintln(&out, p.faint(file))
		}
		if c.OK {
			fmt.Fprintf(&out, "%s    %s\n", p.good("ok"), oneLine(c.Name))
			continue
		}
		fmt.Fprintf(&out, "%s  %s  %s\n", p.bad("FAIL"), oneLine(c.Name), p.faint(c.Place.String()))
		writeFailure(&out, c, p)
	}
	if r.Failed > 0 {
		fmt.Fprintf(&out, "%s, %d passed\n", p.bad(fmt.Sprintf("%d failed", r.Failed)), r.Passed)
	} else {
		fmt.Fprintf(&out, "%s\n", p.good(fmt.Sprintf("%d passed", r.Passed)))
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// failureIndent stands before everything that explains a case that fails.
const failureIndent = "      "

// writeFailure tells what was got and wanted, and the steps.
func writeFailure(out *strings.Builder, c caseResult, p palette) {
	got := layout{colours: p, indent: failureIndent}
	for _, d := range c.Differences {
		got.add(d.Key, "got", p.bad(shownOrNothing(d.Got)))
		got.add(d.Key, "want", p.good(shownOrNothing(d.Want)))
	}
	steps := layout{colours: p, indent: failureIndent}
	steps.addSteps(c.Explanation)
	fmt.Fprintf(out, "%s\n%s%s\n", got.String(), steps.String(), steps.outcome(c.Explanation))
}

func shownOrNothing(text string) string {
	if text == "" {
		return "nothing"
	}
	return shownValue(text)
}
