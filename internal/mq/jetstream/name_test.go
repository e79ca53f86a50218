package jetstream

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/nats-io/nats-server/v2/server"
)

func TestNames(t *testing.T) {
	for _, tt := range []struct{ queue, stream, subject string }{
		{"orders", "MQ_orders", "mq.orders"},
		{"Orders-1_a", "MQ_Orders-1_a", "mq.Orders-1_a"},
		{"orders.in", "MQ_orders=2Ein", "mq.orders.in"},
		{"RESPONSE.DQ.vd4j9", "MQ_RESPONSE=2EDQ=2Evd4j9", "mq.RESPONSE.DQ.vd4j9"},
		{".orders", "MQ_=2Eorders", "mq.=2Eorders"},
		{"orders.", "MQ_orders=2E", "mq.orders=2E"},
		{"a..b", "MQ_a=2E=2Eb", "mq.a=2E=2Eb"},
		{"a b*>/\\=%", "MQ_a=20b=2A=3E=2F=5C=3D=25", "mq.a=20b=2A=3E=2F=5C=3D=25"},
		{"я", "MQ_=D1=8F", "mq.=D1=8F"},
	} {
		t.Run(tt.queue, func(t *testing.T) {
			if got := streamName(tt.queue); got != tt.stream {
				t.Errorf("stream = %q, want %q", got, tt.stream)
			}
			if got := subjectName(tt.queue); got != tt.subject {
				t.Errorf("subject = %q, want %q", got, tt.subject)
			}
			if got, ok := queueName(tt.stream); !ok || got != tt.queue {
				t.Errorf("queue of %q = %q, %t, want %q", tt.stream, got, ok, tt.queue)
			}
		})
	}
}

func TestStreamsThatAreNoQueues(t *testing.T) {
	for _, stream := range []string{"", "ORDERS", "KV_bucket", "MQ_a=2", "MQ_a=", "MQ_a=zz", "MQ_a=2e", "MQ_=41", "MQ_a.b"} {
		if queue, ok := queueName(stream); ok {
			t.Errorf("%q is queue %q, want none", stream, queue)
		}
	}
}

func TestNamesThatCannotBe(t *testing.T) {
	if err := ValidateQueue(""); err == nil {
		t.Error("the empty name is accepted")
	}
	if err := ValidateQueue(strings.Repeat("q", 252)); err != nil {
		t.Errorf("252 letters: %v", err)
	}
	if err := ValidateQueue(strings.Repeat("q", 253)); err == nil {
		t.Error("253 letters are accepted")
	}
	if err := ValidateQueue(strings.Repeat("я", 43)); err == nil {
		t.Error("43 Cyrillic letters are accepted")
	}
}

func FuzzNames(f *testing.F) {
	for _, queue := range []string{"orders.in", "a..b.", "=2E", "очередь 1", "\xff", "a\tb*>"} {
		f.Add(queue, "b")
	}
	f.Fuzz(func(t *testing.T, queue, other string) {
		stream, subject := streamName(queue), subjectName(queue)
		if got, ok := queueName(stream); !ok || got != queue {
			t.Errorf("queue of stream %q = %q, %t, want %q", stream, got, ok, queue)
		}
		if queue != other && subject == subjectName(other) {
			t.Errorf("%q and %q share subject %q", queue, other, subject)
		}
		if queue != "" && !server.IsValidLiteralSubject(subject) {
			t.Errorf("subject %q of %q is none", subject, queue)
		}
		if !utf8.ValidString(stream) || strings.ContainsAny(stream, " \t\r\n\f.*>\\/") {
			t.Errorf("stream %q of %q is no name", stream, queue)
		}
	})
}
