package main

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestDemo watches the demo twice, since it has to leave nothing behind.
func TestDemo(t *testing.T) {
	for range 2 {
		watchDemo(t)
	}
}

func watchDemo(t *testing.T) {
	t.Helper()
	ctx, end := context.WithTimeout(t.Context(), 5*time.Minute)
	defer end()
	shown := &curtain{last: "Ctrl-C ends the demo.", fall: end}
	if err := demo(ctx, shown); err != nil {
		t.Fatalf("demo = %v after\n%s", err, shown.text.String())
	}
	for _, want := range []string{
		`XML  <GetCardRq> +ORDERS.IN +route default +-> crm-getcard-rs +delivered, acknowledged`,
		`JSON GetCardRq +ORDERS.IN +route default +-> mobile-getcard-rs +delivered, acknowledged`,
		`XML  <GetClientRq> +ORDERS.IN +route default +-> crm-getclient-v2-rs +delivered, acknowledged`,
		`JSON BlockCardRq +ORDERS.IN +route BlockCard +-> cards-emergency +delivered, acknowledged`,
		`XML  <Envelope> +ORDERS.IN +route default +-> atm-transfer-rs +delivered, acknowledged`,
		`XML  <GetCardRq> +ORDERS.IN +route default +-> ORDERS.IN.DLQ +dead letter: 601 ROUTE_NOT_FOUND`,
		`JSON OrderRs +PARTNER.OUT +route default +-> partner-replies +delivered, acknowledged`,
		`XML  <OrderRq> +-> queue PARTNER.IN +confirmed by the broker`,
		`JSON OrderRq +-> queue PARTNER.IN +confirmed by the broker`,
		`JSON OrderRq +-> queue PARTNER.URGENT +confirmed by the broker`,
		`XML  <OrderRq> +-> queue PARTNER.MISSING +refused to its caller: Unavailable, 603 BROKER_FAILED`,
		`XML  <GetBalanceRq> +BALANCE.IN +route default +-> crm-getbalance-rs +answered to BALANCE.OUT .*<Balance>10.50</Balance>`,
		`JSON PriceRq +-> queue PARTNER.IN +answered by the partner .*"price":"2.50"`,
		`called 7 times under 7 names .* the partner read 5 messages`,
	} {
		if !regexp.MustCompile(want).MatchString(shown.text.String()) {
			t.Errorf("no line %q in\n%s", want, shown.text.String())
		}
	}
}

// curtain keeps what the demo shows and ends it after its last line.
type curtain struct {
	mu   sync.Mutex // guards text
	text strings.Builder
	last string
	fall func()
}

func (c *curtain) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text.Write(p)
	if strings.Contains(c.text.String(), c.last) {
		c.fall()
	}
	return len(p), nil
}
