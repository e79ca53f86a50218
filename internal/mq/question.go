package mq

import (
	"context"
	"log/slog"
	"strconv"
	"sync"

	"github.com/google/uuid"

	"mqgateway/internal/flow"
)

// receive is the handler of what other instances leave for this one.
func (w *sharedWay) receive(ctx context.Context, in *flow.Message) (*flow.Message, error) {
	m, notes := takeBack(in)
	m.Source = flow.Source{Queue: w.group.queue, Manager: w.id}
	switch notes[headerReplyKind] {
	case kindClaim:
		w.group.shared.questions.claim(notes[headerReplyToken], notes[headerReplyState])
		return nil, nil
	case kindQuestion, kindSpread:
		return nil, w.letter(ctx, &m, w.answer(ctx, &m, notes))
	default:
		return nil, w.letter(ctx, &m, w.sort(ctx, &m, ""))
	}
}

// letter writes the dead letter of a reply that can't be read, as a reply from the
// shared queue: its listener knows only the queue of this instance.
func (w *sharedWay) letter(ctx context.Context, in *flow.Message, cause error) error {
	if cause == nil || flow.ClassOf(cause) != flow.Permanent {
		return cause
	}
	log := w.log.With("queue", w.group.queue, "message", in.ID, "code", int(flow.CodeOf(cause)))
	queue, err := w.group.shared.options.Listener.Failure().DeadLetters.Write(ctx, w.Manager, in, cause)
	if err != nil {
		log.Error("dead letter can't be written; reply goes back to its queue", "deadLetterQueue", queue, "err", err, "cause", cause)
		return w.giveBack(ctx, in)
	}
	w.replies.count.fates[deadLetter](flow.CodeOf(cause))
	log.Error("reply is moved to the dead letter queue", "deadLetterQueue", queue, "err", cause)
	return nil
}

// answer looks whether a reply that all instances are shown is one of ours, and tells
// who took it.
func (w *sharedWay) answer(ctx context.Context, in *flow.Message, notes map[string]string) error {
	s, token := w.group.shared, notes[headerReplyToken]
	if s.questions.own(token) {
		return nil
	}
	whose, err := s.give(ctx, in)
	if whose == replyForeign {
		return nil
	}
	state := claimLate
	if whose == replyWaited {
		w.group.touch()
		state = claimWaited
	}
	if token != "" {
		w.claim(ctx, token, state, notes[headerReplyTaker])
	}
	return err
}

// claim tells the taker of a reply that it need not hold it any more. Nothing is lost
// with the claim: a reply that is not claimed is put aside.
func (w *sharedWay) claim(ctx context.Context, token, state, taker string) {
	if !isTag(taker) {
		return
	}
	m := flow.Message{ID: token, Persistence: flow.NonPersistent, Expiry: claimLife, Headers: []flow.Header{
		{Name: headerReplyKind, Value: kindClaim}, {Name: headerReplyToken, Value: token}, {Name: headerReplyState, Value: state},
	}}
	if err := w.Publish(ctx, flow.Address{Key: w.group.handover(taker)}, &m); err != nil {
		w.log.Debug("claiming a reply", "queue", w.group.queue, "taker", taker, "err", err)
	}
}

// questions are the replies of which this instance has asked all.
type questions struct {
	// run tells the tokens of this process from those of the one before it.
	run string
	log *slog.Logger

	mu      sync.Mutex // guards the rest
	next    uint64
	pending map[string]chan string
	claimed history // the tokens whose reply a caller has
}

// claimedTokens is how many claimed replies are remembered, to notice a second claim.
const claimedTokens = 1 << 12

func newQuestions(log *slog.Logger) *questions {
	return &questions{run: uuid.NewString() + ".", log: log, pending: map[string]chan string{}, claimed: newHistory(claimedTokens)}
}

// open makes the token of a question; the channel gets the state of its first claim.
func (q *questions) open() (token string, claims <-chan string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.next++
	token = q.run + strconv.FormatUint(q.next, 36)
	c := make(chan string, 1)
	q.pending[token] = c
	return token, c
}

// close forgets a question. It is safe to do so twice.
func (q *questions) close(token string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.pending, token)
}

// own tells that this process asked.
func (q *questions) own(token string) bool {
	return len(token) > len(q.run) && token[:len(q.run)] == q.run
}

// claim answers a question. Two instances that wait for the same reply have callers
// that chose the same correlation id: each has got it, and no gateway can tell whose it
// was.
func (q *questions) claim(token, state string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.own(token) {
		return // of a process before this one
	}
	waits := q.pending[token]
	switch {
	case waits != nil:
		waits <- state
		delete(q.pending, token)
	case state == claimWaited && q.claimed.has(token):
		q.log.Warn("callers of two instances waited for the same reply, by a correlation id that both chose; each has got it", "token", token)
	case state == claimWaited:
		q.log.Info("reply has found its caller after it was put aside", "token", token)
	}
	if state == claimWaited {
		q.claimed.add(token)
	}
}
