package rabbitmq

import (
	"bufio"
	"encoding/binary"
	"io"
	"strings"
)

// headerCut names headers of a message that had to be left out.
const headerCut = "x-gateway-cut"

// The parts of the protocol that inbound knows
// (https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf, sections 2.3.5 and 4.2).
const (
	frameHead       = 1 + 2 + 4 // type, channel, size
	frameTail       = 1
	frameTypeHeader = 2
	propertiesAt    = 2 + 2 + 8 // class, weight, size of the body
	flagContentType = 0x8000
	flagEncoding    = 0x4000
	flagTable       = 0x2000
)

// inbound hands the broker's bytes to the client library. The library ends the
// connection when it meets a header table that is nested too deep or has too many
// elements for it, and the message would come back for ever: such headers are
// left out, and named in another one. Everything else passes as it is, and the
// library reads from a larger buffer than its own.
type inbound struct {
	r *bufio.Reader
	// pass counts the bytes of the current frame that go on as they are.
	pass uint64
	// made is what remains of a frame that was written anew.
	made []byte
}

func newInbound(r io.Reader) *inbound { return &inbound{r: bufio.NewReaderSize(r, frameSize)} }

// Read implements io.Reader.
func (in *inbound) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if in.pass == 0 && len(in.made) == 0 {
		if err := in.next(); err != nil {
			return 0, err
		}
	}
	if len(in.made) > 0 {
		n := copy(p, in.made)
		in.made = in.made[n:]
		return n, nil
	}
	n, err := in.r.Read(p[:min(uint64(len(p)), in.pass)])
	in.pass -= uint64(n)
	return n, err
}

// next looks at the frame that begins.
func (in *inbound) next() error {
	head, err := in.r.Peek(frameHead)
	if err != nil {
		return err
	}
	in.pass = frameHead + uint64(binary.BigEndian.Uint32(head[3:])) + frameTail
	if head[0] != frameTypeHeader || in.pass > frameSize {
		return nil
	}
	frame, err := in.r.Peek(int(in.pass))
	if err != nil {
		return err
	}
	at, ok := tableOf(frame)
	if !ok || readableTable(frame[at.from:at.to], 0) {
		return nil
	}
	in.made = withoutUnreadable(frame, at)
	_, err = in.r.Discard(int(in.pass))
	in.pass = 0
	return err
}

// span is a part of a frame.
type span struct{ from, to int }

// tableOf finds the entries of the header table in the frame of a content header.
func tableOf(frame []byte) (span, bool) {
	at := frameHead + propertiesAt + 2
	end := len(frame) - frameTail
	if at > end {
		return span{}, false
	}
	flags := binary.BigEndian.Uint16(frame[at-2:])
	for _, text := range [...]uint16{flagContentType, flagEncoding} {
		if flags&text != 0 && at < end {
			at += 1 + int(frame[at])
		}
	}
	if flags&flagTable == 0 || at+4 > end {
		return span{}, false
	}
	size := int(binary.BigEndian.Uint32(frame[at:]))
	at += 4
	return span{at, at + size}, size <= end-at
}

// readableTable tells that the library can read the entries of a table, which
// stands inside so many others.
func readableTable(entries []byte, depth int) bool {
	for count := 1; len(entries) > 0; count++ {
		_, rest, ok := entry(entries, depth)
		if !ok || count > maxElements {
			return false
		}
		entries = rest
	}
	return true
}

func readableArray(values []byte, depth int) bool {
	for count := 1; len(values) > 0; count++ {
		rest, ok := value(values, depth)
		if !ok || count > maxElements {
			return false
		}
		values = rest
	}
	return true
}

// entry splits the first entry off a table; ok tells that its value is readable.
// rest is nil when not even its end is known.
func entry(entries []byte, depth int) (name, rest []byte, ok bool) {
	size := 1 + int(entries[0])
	if size > len(entries) {
		return nil, nil, false
	}
	rest, ok = value(entries[size:], depth)
	return entries[1:size], rest, ok
}

// value is the same for a value with its type in front.
func value(b []byte, depth int) (rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, false
	}
	kind, b := b[0], b[1:]
	size := 0
	switch kind {
	case 'V':
	case 't', 'b', 'B':
		size = 1
	case 's', 'u':
		size = 2
	case 'I', 'i', 'f':
		size = 4
	case 'D':
		size = 5
	case 'l', 'd', 'T':
		size = 8
	case 'S', 'x', 'A', 'F':
		return sized(kind, b, depth)
	default:
		return nil, false
	}
	if size > len(b) {
		return nil, false
	}
	return b[size:], true
}

// sized is a value with its size in front.
func sized(kind byte, b []byte, depth int) (rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, false
	}
	size := uint64(binary.BigEndian.Uint32(b))
	b = b[4:]
	if size > uint64(len(b)) {
		return nil, false
	}
	inner, rest := b[:size], b[size:]
	switch kind {
	case 'A':
		ok = depth < maxDepth && readableArray(inner, depth+1)
	case 'F':
		ok = depth < maxDepth && readableTable(inner, depth+1)
	default:
		ok = true
	}
	return rest, ok
}

// withoutUnreadable writes the frame anew, without the headers that can't be read.
func withoutUnreadable(frame []byte, table span) []byte {
	out := append(make([]byte, 0, len(frame)), frame[:table.from]...)
	var cut []string
	entries := frame[table.from:table.to]
	for count := 1; len(entries) > 0; count++ {
		name, rest, ok := entry(entries, 0)
		switch {
		case !ok:
			cut = append(cut, string(name))
		case count < maxElements:
			out = append(out, entries[:len(entries)-len(rest)]...)
		case count == maxElements:
			cut = append(cut, "…")
		}
		entries = rest
	}
	out = appendCut(out, cut)
	binary.BigEndian.PutUint32(out[table.from-4:], uint32(len(out)-table.from))
	out = append(out, frame[table.to:]...)
	binary.BigEndian.PutUint32(out[3:], uint32(len(out)-frameHead-frameTail))
	return out
}

// appendCut adds the header that names the others.
func appendCut(out []byte, names []string) []byte {
	const enough = 1 << 10
	text := strings.Join(names, ", ")
	text = text[:min(len(text), enough)]
	out = append(out, byte(len(headerCut)))
	out = append(out, headerCut...)
	out = append(out, 'S')
	out = binary.BigEndian.AppendUint32(out, uint32(len(text)))
	return append(out, text...)
}
