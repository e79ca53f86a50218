package ledger_test

import (
	"testing"
	"testing/synctest"
	"time"

	"mqgateway/test/faults/ledger"
)

// story is what happens to one message of a flow.
type story func(b *ledger.Book, f *ledger.Faults, id string)

func TestCheck(t *testing.T) {
	type want struct{ accepted, duplicates, own, lost, unexplained int }
	deliver := func(b *ledger.Book, id string) { time.Sleep(time.Second); b.Meet(id, ledger.Delivered, id) }
	send := func(b *ledger.Book, id string) { b.Try(id); b.Accept(id) }
	for _, tt := range []struct {
		name  string
		last  ledger.Place
		story story
		want  want
	}{
		{"delivered", ledger.Delivered, func(b *ledger.Book, _ *ledger.Faults, id string) { send(b, id); deliver(b, id) }, want{accepted: 1}},
		{"lost", ledger.Delivered, func(b *ledger.Book, _ *ledger.Faults, id string) { send(b, id) }, want{accepted: 1, lost: 1}},
		{"dead letter", ledger.Delivered, func(b *ledger.Book, _ *ledger.Faults, id string) {
			send(b, id)
			b.Meet(id, ledger.DeadLettered, id)
		}, want{accepted: 1}},
		{"delivered before it is accepted", ledger.Delivered, func(b *ledger.Book, _ *ledger.Faults, id string) {
			b.Try(id)
			deliver(b, id)
			b.Accept(id)
		}, want{accepted: 1}},
		{"refused and delivered", ledger.Delivered, func(b *ledger.Book, _ *ledger.Faults, id string) {
			b.Try(id)
			b.Refuse(id, "no")
			deliver(b, id)
		}, want{}},
		{"sender heard nothing", ledger.Delivered, func(b *ledger.Book, _ *ledger.Faults, id string) { b.Try(id) }, want{unexplained: 1}},
		{"twice for no reason", ledger.Delivered, func(b *ledger.Book, _ *ledger.Faults, id string) {
			send(b, id)
			deliver(b, id)
			deliver(b, id)
		}, want{accepted: 1, duplicates: 1, unexplained: 1}},
		{"twice around a fault", ledger.Delivered, func(b *ledger.Book, f *ledger.Faults, id string) {
			send(b, id)
			deliver(b, id)
			f.Begin("kill")()
			deliver(b, id)
		}, want{accepted: 1, duplicates: 1}},
		{"twice within the echo of a fault", ledger.Delivered, func(b *ledger.Book, f *ledger.Faults, id string) {
			f.Begin("kill")()
			send(b, id)
			deliver(b, id)
			deliver(b, id)
		}, want{accepted: 1, duplicates: 1}},
		{"twice long after a fault", ledger.Delivered, func(b *ledger.Book, f *ledger.Faults, id string) {
			f.Begin("kill")()
			time.Sleep(time.Minute)
			send(b, id)
			deliver(b, id)
			deliver(b, id)
		}, want{accepted: 1, duplicates: 1, unexplained: 1}},
		{"twice before a fault", ledger.Delivered, func(b *ledger.Book, f *ledger.Faults, id string) {
			send(b, id)
			deliver(b, id)
			deliver(b, id)
			time.Sleep(time.Second)
			f.Begin("kill")()
		}, want{accepted: 1, duplicates: 1, unexplained: 1}},
		{"twice, sent twice", ledger.Delivered, func(b *ledger.Book, _ *ledger.Faults, id string) {
			b.Try(id)
			send(b, id)
			deliver(b, id)
			deliver(b, id)
		}, want{accepted: 1, duplicates: 1, own: 1}},
		{"under another id", ledger.Delivered, func(b *ledger.Book, _ *ledger.Faults, id string) {
			send(b, id)
			b.Meet(id, ledger.Delivered, "other")
		}, want{accepted: 1, unexplained: 1}},
		{"never sent", ledger.Delivered, func(b *ledger.Book, _ *ledger.Faults, _ string) { deliver(b, "m-7") }, want{unexplained: 1}},
		{"delivered and in the queue", ledger.Delivered, func(b *ledger.Book, _ *ledger.Faults, id string) {
			send(b, id)
			deliver(b, id)
			b.Meet(id, ledger.Queued, id)
		}, want{accepted: 1, duplicates: 1, unexplained: 1}},
		{"in the queue, around a fault", ledger.Delivered, func(b *ledger.Book, f *ledger.Faults, id string) {
			send(b, id)
			deliver(b, id)
			f.Begin("kill")()
			time.Sleep(time.Second)
			b.Meet(id, ledger.Queued, id)
		}, want{accepted: 1, duplicates: 1}},
		{"answered", ledger.Answered, func(b *ledger.Book, _ *ledger.Faults, id string) {
			send(b, id)
			deliver(b, id)
			b.Meet(id, ledger.Answered, "reply")
		}, want{accepted: 1}},
		{"never answered", ledger.Answered, func(b *ledger.Book, _ *ledger.Faults, id string) { send(b, id); deliver(b, id) }, want{accepted: 1, lost: 1}},
		{"answered from nowhere", ledger.Answered, func(b *ledger.Book, _ *ledger.Faults, id string) {
			send(b, id)
			b.Meet(id, ledger.Answered, "reply")
		}, want{accepted: 1, unexplained: 1}},
		{"replies of two ids", ledger.Answered, func(b *ledger.Book, f *ledger.Faults, id string) {
			send(b, id)
			deliver(b, id)
			b.Meet(id, ledger.Answered, "reply")
			f.Begin("kill")()
			time.Sleep(time.Second)
			b.Meet(id, ledger.Answered, "other reply")
		}, want{accepted: 1, duplicates: 1, unexplained: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &ledger.Faults{Echo: 15 * time.Second}
				b := ledger.NewBook("m", tt.last, f)
				id := b.Next()
				tt.story(b, f, id)
				a := b.Check()
				if got := (want{a.Accepted, a.Duplicates, a.SendersOwn, a.Lost, a.Unexplained}); got != tt.want {
					t.Errorf("account = %+v, want %+v; %q", got, tt.want, a.Complaints)
				}
				if a.Sent != 1 {
					t.Errorf("sent = %d, want 1", a.Sent)
				}
			})
		})
	}
}

func TestOpenCountsAcceptedMessagesOnTheirWay(t *testing.T) {
	b := ledger.NewBook("m", ledger.Delivered, &ledger.Faults{})
	var ids []string
	for range 3 {
		ids = append(ids, b.Next())
	}
	b.Accept(ids[0])
	b.Accept(ids[1])
	b.Meet(ids[1], ledger.Delivered, ids[1])
	b.Meet(ids[1], ledger.Delivered, ids[1])
	b.Meet(ids[2], ledger.Delivered, ids[2])
	b.Accept(ids[2])
	if got := b.Open(); got != 1 || b.Sent() != 3 {
		t.Errorf("Open() = %d of %d, want 1 of 3", got, b.Sent())
	}
}

func TestFaultsAreCountedByKind(t *testing.T) {
	f := &ledger.Faults{}
	for _, kind := range []string{"kill", "reset", "kill"} {
		f.Begin(kind)()
	}
	if got := f.Kinds(); got != "2 kill, 1 reset" {
		t.Errorf("Kinds() = %q", got)
	}
}

func TestCopiesAreCountedAtTheFaultThatMadeThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &ledger.Faults{Echo: 15 * time.Second}
		b := ledger.NewBook("m", ledger.Delivered, f)
		meet := func(id string) { time.Sleep(time.Second); b.Meet(id, ledger.Delivered, id) }
		f.Begin("before")()
		during, after, later := b.Next(), b.Next(), b.Next()
		meet(after)
		meet(later)
		endLong := f.Begin("long")
		meet(during)
		f.Begin("at once")()
		time.Sleep(time.Second)
		endLong()
		f.Begin("too late for most")()
		for _, id := range []string{during, after, later} {
			meet(id)
		}
		b.Check()
		if got, want := f.Copies(), "2 near long, 1 near at once"; got != want {
			t.Errorf("Copies() = %q, want %q", got, want)
		}
	})
}
