package xmlpath_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/antchfx/xmlquery"
	"github.com/antchfx/xpath"

	"mqgateway/internal/routing/xmlpath"
)

// payload is a body of about so many bytes, with the service at its end.
func payload(size int) []byte {
	const (
		begin = `<?xml version="1.0" encoding="UTF-8"?><p:AccountRq xmlns:p="urn:p"><Head><SystemID>core</SystemID></Head>`
		item  = `<Item id="1"><Name>Иван</Name><Sum>10.50</Sum></Item>`
		end   = `<ServiceName>cards</ServiceName></p:AccountRq>`
	)
	return []byte(begin + strings.Repeat(item, (size-len(begin)-len(end))/len(item)) + end)
}

// BenchmarkTree parses a whole body and runs two paths over it, beside the same
// by xmlquery. The tree should take at most 1.2 times as long.
func BenchmarkTree(b *testing.B) {
	for _, kib := range []int{1, 10} {
		body := payload(kib << 10)
		b.Run(fmt.Sprintf("%dKiB/xmlpath", kib), func(b *testing.B) {
			root, service := compile(b, "local-name(/*)"), compile(b, "//ServiceName")
			b.ReportAllocs()
			for b.Loop() {
				d, err := xmlpath.Parse(body, xmlpath.Limits{})
				if err != nil {
					b.Fatal(err)
				}
				requireTexts(b, textIn(b, d, root), textIn(b, d, service))
			}
		})
		b.Run(fmt.Sprintf("%dKiB/xmlquery", kib), func(b *testing.B) {
			root, service := xpath.MustCompile("local-name(/*)"), xpath.MustCompile("//ServiceName")
			b.ReportAllocs()
			for b.Loop() {
				tree, err := xmlquery.Parse(bytes.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				name, _ := root.Evaluate(xmlquery.CreateXPathNavigator(tree)).(string)
				requireTexts(b, name, xmlquery.QuerySelector(tree, service).InnerText())
			}
		})
	}
}

func textIn(b *testing.B, d *xmlpath.Document, p *xmlpath.Path) string {
	b.Helper()
	text, err := p.Text(d)
	if err != nil {
		b.Fatal(err)
	}
	return text
}

func requireTexts(b *testing.B, root, service string) {
	b.Helper()
	if root != "AccountRq" || service != "cards" {
		b.Fatalf("got %q and %q", root, service)
	}
}
