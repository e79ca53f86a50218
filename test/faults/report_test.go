package faults

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"mqgateway/test/faults/ledger"
)

// row is one flow of one scenario in the table.
type row struct {
	scenario, broker, queues, flow string
	account                        ledger.Account
	took                           time.Duration
	faults, copies                 string
	good                           bool
}

// rows closes the books.
func (w *world) rows(took time.Duration) []row {
	w.t.Helper()
	var rows []row
	for _, flow := range []string{inAsync, inSync, outAsync, outSync} {
		book := w.books[flow]
		if book == nil {
			continue
		}
		a := book.Check()
		rows = append(rows, row{
			broker: w.broker.name(), queues: w.broker.kind(), flow: flow, account: a, took: took,
			good: a.Lost == 0 && a.Unexplained == 0,
		})
		for _, text := range a.Complaints {
			w.t.Errorf("%s: %s", flow, text)
		}
		for why, n := range a.Refusals {
			w.t.Logf("%s: %d times %s", flow, n, why)
		}
		for _, text := range a.Copies {
			w.t.Logf("%s: %s", flow, text)
		}
		w.checkPlan(flow, a)
	}
	for i := range rows {
		rows[i].faults, rows[i].copies = w.faults.Kinds(), w.faults.Copies()
	}
	for _, text := range w.complaints {
		w.t.Error(text)
	}
	return rows
}

// checkPlan holds what the scenario promises beyond that.
func (w *world) checkPlan(flow string, a ledger.Account) {
	w.t.Helper()
	if n := a.Met[ledger.DeadLettered]; n > 0 && !w.plan.deadLetters {
		w.t.Errorf("%s: %d dead letters, want none", flow, n)
	}
	if a.Duplicates > 0 && w.plan.noDuplicates {
		w.t.Errorf("%s: %d duplicates, want none", flow, a.Duplicates)
	}
	if a.Refused > 0 && w.faults.Kinds() == "" {
		w.t.Errorf("%s: %d messages were refused, and there was no fault", flow, a.Refused)
	}
}

// printTable writes all rows.
func printTable(to io.Writer, rows []row) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "scenario\tbroker\tqueues\tflow\tsent\t/s\taccepted\trefused\tdelivered\tanswered\tduplicates\tdead-lettered\tparked\tqueued\tlost\tunexplained\tverdict")
	for _, r := range rows {
		a := r.account
		verdict := "good"
		if !r.good {
			verdict = "BAD"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%.0f\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", r.scenario, r.broker, r.queues, r.flow,
			a.Sent, float64(a.Sent)/r.took.Seconds(), a.Accepted, a.Refused, a.Met[ledger.Delivered], a.Met[ledger.Answered], a.Duplicates,
			a.Met[ledger.DeadLettered], a.Met[ledger.Parked], a.Met[ledger.Queued], a.Lost, a.Unexplained, verdict)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return printFaults(to, rows)
}

// printFaults writes the faults of each scenario, and near which of them there were
// duplicates.
func printFaults(to io.Writer, rows []row) error {
	told := map[string]bool{}
	for _, r := range rows {
		name := strings.Join([]string{r.scenario, r.broker, r.queues}, " ")
		if told[name] {
			continue
		}
		told[name] = true
		if _, err := fmt.Fprintf(to, "%s: faults: %s; duplicates: %s\n", name, r.faults, cmp.Or(r.copies, "none")); err != nil {
			return err
		}
	}
	return nil
}
