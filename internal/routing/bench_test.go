package routing_test

import (
	"strings"
	"testing"

	"mqgateway/internal/flow"
	"mqgateway/internal/routing"
)

// filler makes a body of so many KiB whose values stand in the first one.
func filler(kib int, begin, unit, end string) []byte {
	return []byte(begin + strings.Repeat(unit, (kib<<10-len(begin)-len(end))/len(unit)) + end)
}

func xmlOf(kib int) []byte {
	return filler(kib, `<?xml version="1.0" encoding="UTF-8"?><AccountRq><Head><SystemID>core</SystemID><PartnerID kind="x">cards</PartnerID></Head>`,
		`<Item id="1"><Name>Иван</Name><Sum>10.50</Sum></Item>`, `</AccountRq>`)
}

func jsonOf(kib int) []byte {
	return filler(kib, `{"op": "AccountRq", "head": {"system": "core", "partner": "cards"}, "items": [`,
		`{"id": 1, "name": "Иван", "sum": 10.50},`, `{}]}`)
}

var xmlBody, jsonBody = xmlOf(1), jsonOf(1)

const plain = `
routing:
  routeName:
    valueFrom: [{type: fromBody, value: local-name(/*), valueJson: $.op}]
  routeList:
    - routeName: AccountRq
      destinationExpression: "'account-rs'"
      variables:
        - {name: A, valueFrom: [{type: fromBody, value: //SystemID, valueJson: $.head.system}]}
        - {name: B, valueFrom: [{type: fromBody, value: //PartnerID, valueJson: $..partner}]}
`

const computed = `
routing:
  routeName:
    valueFrom: [{type: fromBody, value: local-name(/*), valueJson: $.op}]
    expr: value.substring(0, value.length()-2)
  routeList:
    - routeName: Account
      destinationExpression: variables['A'] + '-' + B + '-rs'
      variables:
        - {name: A, valueFrom: [{type: fromBody, value: //SystemID, valueJson: $.head.system}], expr: value.toUpperCase()}
        - {name: B, valueFrom: [{type: fromBody, value: //PartnerID, valueJson: $..partner}], expr: value + 's'}
`

func BenchmarkRoute(b *testing.B) {
	for _, bb := range []struct {
		name, config string
		parser       string
		body         []byte
	}{
		{"XML/values", plain, "auto", xmlBody},
		{"XML/expressions", computed, "auto", xmlBody},
		{"XML/100KiB", plain, "auto", xmlOf(100)},
		{"XML/DOM", plain, "DOM", xmlBody},
		{"JSON/values", plain, "auto", jsonBody},
		{"JSON/expressions", computed, "auto", jsonBody},
		{"JSON/100KiB", plain, "auto", jsonOf(100)},
		{"JSON/DOM", plain, "DOM", jsonBody},
	} {
		b.Run(bb.name, func(b *testing.B) {
			r := router(b, bb.config, routing.Options{TypeParser: bb.parser})
			m := &flow.Message{Body: bb.body}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Route(m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestAllocations holds the hot path to its budget: two values and the name at
// most 10 allocations, four expressions more at most 35.
func TestAllocations(t *testing.T) {
	for _, tt := range []struct {
		name, config string
		body         []byte
		most         float64
	}{
		{"XML values", plain, xmlBody, 10},
		{"XML expressions", computed, xmlBody, 35},
		{"JSON values", plain, jsonBody, 10},
		{"XML values of a long body", plain, xmlOf(100), 10},
		{"JSON values of a long body", plain, jsonOf(100), 10},
		{"JSON expressions", computed, jsonBody, 35},
	} {
		r := router(t, tt.config, routing.Options{})
		m := &flow.Message{Body: tt.body}
		got := testing.AllocsPerRun(200, func() {
			if _, err := r.Route(m); err != nil {
				t.Fatal(err)
			}
		})
		if got > tt.most {
			t.Errorf("%s: %v allocations, want at most %v", tt.name, got, tt.most)
		}
	}
}
