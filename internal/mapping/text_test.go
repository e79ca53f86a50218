package mapping_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/unicode/utf32"

	"mqgateway/internal/flow"
	"mqgateway/internal/mapping"
)

const russian = "Заказ № 1"

// through passes a copy of m through the middleware and returns what the handler saw.
func through(t *testing.T, text mapping.Text, m flow.Message) (*flow.Message, error) {
	t.Helper()
	var seen *flow.Message
	handler := text.Middleware(func(_ context.Context, in *flow.Message) (*flow.Message, error) {
		seen = in
		return nil, nil
	})
	_, err := handler(t.Context(), &m)
	return seen, err
}

// encoded is text in a charset of IANA.
func encoded(t *testing.T, charset, text string) []byte {
	t.Helper()
	coding, err := ianaindex.IANA.Encoding(charset)
	if err != nil {
		t.Fatal(err)
	}
	out, err := coding.NewEncoder().Bytes([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func compressed(t *testing.T, with func(io.Writer) io.WriteCloser, body []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := with(&out)
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func gzipped(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }
func zlibbed(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }

func deflated(w io.Writer) io.WriteCloser {
	out, _ := flate.NewWriter(w, flate.DefaultCompression) // The level is valid.
	return out
}

func TestCharsets(t *testing.T) {
	t.Parallel()
	for _, charset := range []string{
		"UTF-8", "UTF-16", "UTF-16LE", "UTF-16BE", "windows-1251", "koi8-r", "iso-8859-5", "IBM866",
	} {
		t.Run(charset, func(t *testing.T) {
			t.Parallel()
			text := russian
			if charset == "koi8-r" || charset == "IBM866" {
				text = "Заказ 1"
			}
			for _, contentType := range []string{
				"text/plain; charset=" + charset,
				"text/plain;charset=\"" + strings.ToLower(charset) + "\"; format=flowed",
			} {
				got, err := through(t, mapping.Text{}, flow.Message{ContentType: contentType, Body: encoded(t, charset, text)})
				if err != nil {
					t.Fatal(err)
				}
				if string(got.Body) != text {
					t.Errorf("body = %q, want %q", got.Body, text)
				}
				if want := "charset=utf-8"; !strings.Contains(strings.ReplaceAll(strings.ToLower(got.ContentType), `"`, ""), want) {
					t.Errorf("content type = %q, want %s in it", got.ContentType, want)
				}
			}
		})
	}
	for charset, latin := range map[string]string{
		"windows-1252": "€ 5 – naïve", "iso-8859-1": "naïve", "iso-8859-2": "Łódź", "iso-8859-15": "5 €", "us-ascii": "plain",
		"shift_jis": "注文", "gb18030": "订单 \uFFFD", "cp1251": "Заказ",
	} {
		t.Run(charset, func(t *testing.T) {
			t.Parallel()
			name := charset
			if charset == "cp1251" {
				name = "windows-1251"
			}
			got, err := through(t, mapping.Text{}, flow.Message{ContentType: "a/b; Charset=" + charset, Body: encoded(t, name, latin)})
			if err != nil {
				t.Fatal(err)
			}
			if string(got.Body) != latin {
				t.Errorf("body = %q, want %q", got.Body, latin)
			}
		})
	}
}

func TestWhereTheCharsetComesFrom(t *testing.T) {
	t.Parallel()
	const (
		declared  = `<?xml version="1.0" encoding="windows-1251"?><a>Да</a>`
		corrected = `<?xml version="1.0" encoding="UTF-8"?><a>Да</a>`
	)
	utf16, err := ianaindex.IANA.Encoding("UTF-16LE")
	if err != nil {
		t.Fatal(err)
	}
	littleXML, err := utf16.NewEncoder().Bytes([]byte(corrected))
	if err != nil {
		t.Fatal(err)
	}
	big32, err := utf32.UTF32(utf32.BigEndian, utf32.UseBOM).NewEncoder().Bytes([]byte(russian))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		text mapping.Text
		in   flow.Message
		want flow.Message
	}{
		{
			name: "nowhere: UTF-8",
			in:   flow.Message{Body: []byte(russian)},
			want: flow.Message{Body: []byte(russian)},
		},
		{
			name: "the declaration of XML",
			in:   flow.Message{Body: encoded(t, "windows-1251", declared), ContentType: "text/xml"},
			want: flow.Message{Body: []byte(corrected), ContentType: "text/xml"},
		},
		{
			name: "a declaration in single quotes, after blanks",
			in:   flow.Message{Body: encoded(t, "koi8-r", "\r\n <?xml version='1.0'\n encoding = 'koi8-r' standalone='yes'?><a>Да</a>")},
			want: flow.Message{Body: []byte("\r\n <?xml version='1.0'\n encoding = 'UTF-8' standalone='yes'?><a>Да</a>")},
		},
		{
			name: "the content type beats the declaration, which is corrected",
			in:   flow.Message{Body: []byte(declared), ContentType: "text/xml; charset=utf-8"},
			want: flow.Message{Body: []byte(corrected), ContentType: "text/xml; charset=utf-8"},
		},
		{
			name: "the declaration is not believed",
			text: mapping.Text{SkipDeclaration: true},
			in:   flow.Message{Body: []byte(declared)},
			want: flow.Message{Body: []byte(corrected)},
		},
		{
			name: "a byte order mark beats the declaration",
			in:   flow.Message{Body: []byte("\xEF\xBB\xBF" + declared)},
			want: flow.Message{Body: []byte(corrected)},
		},
		{
			name: "a byte order mark of UTF-16",
			in:   flow.Message{Body: append([]byte("\xFF\xFE"), littleXML...)},
			want: flow.Message{Body: []byte(corrected)},
		},
		{
			name: "a byte order mark of UTF-32",
			in:   flow.Message{Body: big32},
			want: flow.Message{Body: []byte(russian)},
		},
		{
			name: "a byte order mark beside utf-16 of the content type",
			in:   flow.Message{Body: append([]byte("\xFF\xFE"), littleXML...), ContentType: "text/xml; charset=utf-16"},
			want: flow.Message{Body: []byte(corrected), ContentType: "text/xml; charset=utf-8"},
		},
		{
			name: "utf-16 without a mark whose first character is ASCII",
			in:   flow.Message{Body: littleXML, ContentType: "text/xml; charset=utf-16"},
			want: flow.Message{Body: []byte(corrected), ContentType: "text/xml; charset=utf-8"},
		},
		{
			name: "UTF-16 XML without a mark",
			in:   flow.Message{Body: littleXML},
			want: flow.Message{Body: []byte(corrected)},
		},
		{
			name: "a mark beside utf-8 of the content type",
			in:   flow.Message{Body: []byte("\xEF\xBB\xBF{}"), ContentType: "application/json; charset=UTF-8"},
			want: flow.Message{Body: []byte("{}"), ContentType: "application/json; charset=UTF-8"},
		},
		{
			name: "a declaration of UTF-16 in one-byte text is wrong",
			in:   flow.Message{Body: []byte(`<?xml version="1.0" encoding="utf-16"?><a>Да</a>`)},
			want: flow.Message{Body: []byte(corrected)},
		},
		{
			name: "a charset in the content encoding",
			in:   flow.Message{Body: encoded(t, "windows-1251", russian), ContentEncoding: "windows-1251"},
			want: flow.Message{Body: []byte(russian)},
		},
		{
			name: "the content type beats the content encoding",
			in:   flow.Message{Body: []byte(russian), ContentEncoding: "windows-1251", ContentType: "text/plain; charset=utf-8"},
			want: flow.Message{Body: []byte(russian), ContentType: "text/plain; charset=utf-8"},
		},
		{
			name: "an empty body",
			in:   flow.Message{ContentType: "text/plain; charset=windows-1251"},
			want: flow.Message{ContentType: "text/plain; charset=utf-8", Body: []byte{}},
		},
		{
			name: "encoding in the text is no declaration",
			in:   flow.Message{Body: []byte(`<?xml version="1.0"?><a encoding="windows-1251">Да</a>`)},
			want: flow.Message{Body: []byte(`<?xml version="1.0"?><a encoding="windows-1251">Да</a>`)},
		},
		{
			name: "a style sheet is no declaration",
			in:   flow.Message{Body: []byte(`<?xml-stylesheet encoding="windows-1251"?><a>Да</a>`)},
			want: flow.Message{Body: []byte(`<?xml-stylesheet encoding="windows-1251"?><a>Да</a>`)},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sent := slices.Clone(tt.in.Body)
			got, err := through(t, tt.text, tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
			if !bytes.Equal(sent, tt.in.Body) {
				t.Errorf("the body that was sent was written to: %q", tt.in.Body)
			}
		})
	}
}

func TestCompressionIsUndone(t *testing.T) {
	t.Parallel()
	body := []byte(strings.Repeat(russian, 20))
	for _, tt := range []struct {
		name, encoding string
		body           []byte
	}{
		{"gzip", "gzip", compressed(t, gzipped, body)},
		{"x-gzip in capitals", "X-GZIP", compressed(t, gzipped, body)},
		{"deflate", "deflate", compressed(t, zlibbed, body)},
		{"bare deflate", "deflate", compressed(t, deflated, body)},
		{"two in turn", "deflate, gzip", compressed(t, gzipped, compressed(t, zlibbed, body))},
		{"identity", "identity", body},
		{"gzip of Spring AMQP", "gzip:UTF-8", compressed(t, gzipped, body)},
		{"gzip of another charset", "gzip:windows-1251", compressed(t, gzipped, encoded(t, "windows-1251", string(body)))},
		{"UTF-8 of Spring AMQP", "UTF-8", body},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := through(t, mapping.Text{}, flow.Message{ContentEncoding: tt.encoding, Body: tt.body})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&flow.Message{Body: body}, got); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsNotText(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte("a"), 2000)
	small := mapping.Text{MaxLength: 1000}
	for _, tt := range []struct {
		name string
		text mapping.Text
		in   flow.Message
		want string
	}{
		{"too long", small, flow.Message{Body: long}, "message of 2000 bytes is over the limit of 1000 (mq.maxMsgLength)"},
		{"over the default limit", mapping.Text{}, flow.Message{Body: make([]byte, 100<<10+1)}, "102400 (mq.maxMsgLength)"},
		{"too long when decompressed", small, flow.Message{ContentEncoding: "gzip", Body: compressed(t, gzipped, long)}, "over the limit of 1000 bytes (mq.maxMsgLength)"},
		{
			"too long when decoded", small,
			flow.Message{ContentType: "text/plain; charset=windows-1251", Body: encoded(t, "windows-1251", strings.Repeat("Я", 600))},
			"decoded body of 1200 bytes is over the limit of 1000",
		},
		{"not UTF-8", mapping.Text{}, flow.Message{Body: []byte("ab\xFFc")}, "body is not UTF-8: byte 0xFF at 2"},
		{"cut inside a character", mapping.Text{}, flow.Message{Body: []byte("ab\xD0")}, "byte 0xD0 at 2"},
		{"a byte that the charset lacks", mapping.Text{}, flow.Message{ContentType: "a/b; charset=windows-1251", Body: []byte("a\x98")}, `"windows-1251" of its content type: bytes are not text`},
		{"half a character of UTF-16", mapping.Text{}, flow.Message{ContentType: "a/b; charset=utf-16be", Body: []byte("\x04")}, "not text in this charset"},
		{"a lone surrogate", mapping.Text{}, flow.Message{ContentType: "a/b; charset=utf-16le", Body: []byte("\x00\xD8a\x00")}, "not text in this charset"},
		{"not ASCII", mapping.Text{}, flow.Message{ContentType: "a/b; charset=us-ascii", Body: []byte("\xC0")}, "not text in this charset"},
		{"a charset that nobody knows", mapping.Text{}, flow.Message{ContentType: "a/b; charset=klingon", Body: []byte("a")}, `charset "klingon" of its content type: charset is not known`},
		{"a charset without a decoder", mapping.Text{}, flow.Message{ContentType: "a/b; charset=iso-2022-kr", Body: []byte("a")}, "charset is not known"},
		{"a declared charset that nobody knows", mapping.Text{}, flow.Message{Body: []byte(`<?xml version="1.0" encoding="klingon"?><a/>`)}, `"klingon" of its XML declaration`},
		{"an encoding that nobody knows", mapping.Text{}, flow.Message{ContentEncoding: "br", Body: []byte("a")}, `content encoding "br" is neither gzip nor deflate`},
		{"gzip that is none", mapping.Text{}, flow.Message{ContentEncoding: "gzip", Body: []byte("plain")}, `undoing the content encoding "gzip"`},
		{"gzip that is cut", mapping.Text{}, flow.Message{ContentEncoding: "gzip", Body: compressed(t, gzipped, long)[:20]}, `undoing the content encoding "gzip"`},
		{"deflate that is none", mapping.Text{}, flow.Message{ContentEncoding: "deflate", Body: []byte("plain")}, `undoing the content encoding "deflate"`},
		{"compressed too often", mapping.Text{}, flow.Message{ContentEncoding: "gzip,gzip,gzip,gzip,gzip", Body: []byte("a")}, "5 codings, at most 4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			seen, err := through(t, tt.text, tt.in)
			if seen != nil {
				t.Errorf("the handler saw %+v", seen)
			}
			if flow.CodeOf(err) != flow.BadMessage || flow.ClassOf(err) != flow.Permanent || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %d %v, want 606 with %q", flow.CodeOf(err), err, tt.want)
			}
		})
	}
}

// TestUTF8CostsNothing holds the way of nearly every message against allocation.
func TestUTF8CostsNothing(t *testing.T) {
	handler := mapping.Text{}.Middleware(func(context.Context, *flow.Message) (*flow.Message, error) { return nil, nil })
	for name, m := range map[string]flow.Message{
		"plain":          {Body: []byte(russian)},
		"content type":   {Body: []byte(russian), ContentType: `text/xml; charset="UTF-8"`},
		"declaration":    {Body: []byte(`<?xml version="1.0" encoding="utf-8"?><a>Да</a>`), ContentType: "text/xml"},
		"a longer UTF-8": {Body: bytes.Repeat([]byte(russian), 100)},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			if n := testing.AllocsPerRun(100, func() {
				in := m
				_, _ = handler(ctx, &in) // The handler above returns nothing.
			}); n > 1 { // The one is the copy of the message.
				t.Errorf("%v allocations, want none but the message", n)
			}
		})
	}
}

func FuzzText(f *testing.F) {
	f.Add([]byte(`<?xml version="1.0" encoding="windows-1251"?><a/>`), "text/xml; charset=utf-16", "gzip", false)
	f.Add([]byte("\xFF\xFEa\x00"), "a; charset=", "deflate:koi8-r", true)
	f.Add([]byte("<?xml encoding="), `;;charset="`, ",,", false)
	f.Add([]byte("\x00<\x00?"), "", "", false)
	f.Fuzz(func(t *testing.T, body []byte, contentType, contentEncoding string, skip bool) {
		const limit = 4096
		before := slices.Clone(body)
		m := flow.Message{Body: body, ContentType: contentType, ContentEncoding: contentEncoding}
		got, err := through(t, mapping.Text{MaxLength: limit, SkipDeclaration: skip}, m)
		if !bytes.Equal(before, body) {
			t.Error("the body that was sent was written to")
		}
		if err != nil {
			if flow.CodeOf(err) != flow.BadMessage {
				t.Errorf("code = %d, want 606: %v", flow.CodeOf(err), err)
			}
			return
		}
		if !utf8.Valid(got.Body) || got.ContentEncoding != "" || len(got.Body) > limit+len("UTF-8") {
			t.Errorf("accepted %d bytes, UTF-8: %t, encoding %q", len(got.Body), utf8.Valid(got.Body), got.ContentEncoding)
		}
	})
}
