package rabbitmq

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"
	"testing/iotest"
)

// headerFrame makes the frame of a content header with these properties.
func headerFrame(flags uint16, properties []byte) []byte {
	payload := make([]byte, propertiesAt, propertiesAt+2+len(properties))
	payload = binary.BigEndian.AppendUint16(payload, flags)
	payload = append(payload, properties...)
	frame := []byte{frameTypeHeader, 0, 1}
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(payload)))
	return append(append(frame, payload...), 0xCE)
}

// Bytes that are no frames, such as the answer of another protocol, pass too.
func TestInboundPasses(t *testing.T) {
	table := append([]byte{0, 0, 0, 6}, "\x03oneV\x00"...)
	for _, tt := range []struct {
		name string
		sent []byte
	}{
		{"refused protocol", []byte("AMQP\x00\x00\x09\x01")},
		{"heartbeat", []byte{8, 0, 0, 0, 0, 0, 0, 0xCE}},
		{"no properties", headerFrame(0, nil)},
		{"headers", headerFrame(flagTable, table[:9])},
		{"truncated headers", headerFrame(flagTable, []byte{0, 0})},
		{"headers beyond the frame", headerFrame(flagTable, []byte{0, 0, 1, 0})},
		{"content type beyond the frame", headerFrame(flagContentType|flagTable, []byte{200})},
		{"content header without properties", []byte{frameTypeHeader, 0, 1, 0, 0, 0, 0, 0xCE}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sent := append(bytes.Clone(tt.sent), 8, 0, 0, 0, 0, 0, 0, 0xCE)
			got, err := io.ReadAll(newInbound(iotest.OneByteReader(bytes.NewReader(sent))))
			if err != nil || !bytes.Equal(got, sent) {
				t.Errorf("read %x, %v; want %x", got, err, sent)
			}
		})
	}
}

// Whatever a table holds, what comes out is a frame with a table that the library
// can read.
func FuzzInbound(f *testing.F) {
	f.Add(uint16(flagTable), []byte("\x01aV\x01bS\x00\x00\x00\x01x"))
	f.Add(uint16(flagTable|flagContentType), []byte("\x01a?"))
	f.Add(uint16(flagTable), bytes.Repeat([]byte("\x01aF\x00\x00\x00\xff"), 40))
	f.Add(uint16(flagTable), bytes.Repeat([]byte("\x00V"), 9000))
	f.Fuzz(func(t *testing.T, flags uint16, entries []byte) {
		if len(entries) > maxHeadersSize {
			return
		}
		flags |= flagTable
		var properties []byte
		for _, text := range []uint16{flagContentType, flagEncoding} {
			if flags&text != 0 {
				properties = append(properties, 2, 'a', 'b')
			}
		}
		properties = binary.BigEndian.AppendUint32(properties, uint32(len(entries)))
		properties = append(append(properties, entries...), "rest"...)
		frame, err := io.ReadAll(newInbound(bytes.NewReader(headerFrame(flags, properties))))
		if err != nil {
			t.Fatal(err)
		}
		at, ok := tableOf(frame)
		if !ok || !readableTable(frame[at.from:at.to], 0) {
			t.Fatalf("the table is not readable: %x", frame)
		}
		if size := binary.BigEndian.Uint32(frame[3:]); int(size) != len(frame)-frameHead-frameTail {
			t.Errorf("size %d of a frame with %d bytes", size, len(frame))
		}
		if !bytes.HasSuffix(frame, []byte("rest\xCE")) {
			t.Errorf("the properties after the headers are lost: %x", frame)
		}
	})
}
