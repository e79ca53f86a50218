package faults

import (
	"slices"
	"strings"
	"time"

	"mqgateway/test/faults/ledger"
)

// finish lets the last messages be sent, waits until everything has come to rest, stops the gateways, looks what is left
// on the broker, and closes the books.
func (w *world) finish() []row {
	w.t.Helper()
	w.awaitSent(w.plan.messages)
	w.stopLoad()
	sent := make(chan struct{})
	go func() { defer close(sent); w.sending.Wait() }()
	w.await("the last senders", func() bool {
		select {
		case <-sent:
			return true
		default:
			return false
		}
	})
	took := time.Since(w.start)
	quiet := 0
	w.await("empty queues", func() bool {
		if quiet++; !w.atRest() {
			quiet = 0
		}
		return quiet > 1
	})
	w.queues = w.broker.names(w.t)
	for _, r := range w.replicas() {
		r.stop(w.t)
	}
	w.end()
	w.collect()
	return w.rows(took)
}

// atRest tells that no queue holds a message that somebody may still work on.
func (w *world) atRest() bool {
	for _, queue := range w.broker.names(w.t) {
		if waits(queue) && w.broker.holds(w.t, queue) > 0 {
			w.rest(time.Second)
			return false
		}
	}
	w.rest(time.Second)
	return true
}

// waits tells that the messages of a queue are still on their way.
func waits(queue string) bool {
	return slices.Contains([]string{queueIn, queueAsk, queueOut, queueAnswers}, queue) ||
		strings.Contains(queue, ".RETRY.") || strings.HasPrefix(queue, "REPLIES.DQ.") && !strings.Contains(queue, ".UNCLAIMED")
}

// collect writes down what is left on the broker.
func (w *world) collect() {
	w.t.Helper()
	for _, queue := range w.queues {
		at := placeOf(queue)
		w.broker.left(w.t, queue, func(l letter) { w.left(queue, at, l) })
	}
}

// left writes down a letter that lies in a queue.
func (w *world) left(queue string, at ledger.Place, l letter) {
	id := idOf(l.body)
	switch {
	case queue == queueCopies:
		w.copies++
	case strings.HasSuffix(queue, ".UNCLAIMED") || strings.HasPrefix(queue, "REPLIES."):
		return // A reply whose caller was told that there is none.
	case queue == queueAnswers:
		w.answered(l)
	case w.owner(id) != nil:
		if at == ledger.DeadLettered {
			w.letters[id], _ = l.headers["x-gateway-error-code"].(string)
			if len(w.letters) <= 20 && !w.plan.deadLetters {
				w.t.Logf("dead letter %q in %q: %v", id, queue, l.headers["x-gateway-error"])
			}
		}
		carried := l.id
		if at == ledger.DeadLettered && l.correl == id {
			carried = id // the answer to it, which went nowhere
		}
		w.owner(id).Meet(id, at, carried)
	}
}

func placeOf(queue string) ledger.Place {
	switch {
	case strings.HasSuffix(queue, ".DLQ"):
		return ledger.DeadLettered
	case strings.Contains(queue, ".RETRY."):
		return ledger.Parked
	default:
		return ledger.Queued
	}
}
