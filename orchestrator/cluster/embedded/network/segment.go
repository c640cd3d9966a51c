package network

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

const (
	flagFin = 1
	flagPsh = 8
)

// clone copies the frame for a second delivery; the bytes are shared.
func (f frame) clone() frame {
	f.pkt = stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: f.pkt.ToBuffer()})
	return f
}

// segments cuts a packet that the stack left to the device to cut (segmentation offload) into packets of its segment size, and takes over
// its reference. Any other packet is returned as it is.
func (f frame) segments() []frame {
	if f.mss == 0 {
		return []frame{f}
	}
	view := f.pkt.ToView()
	defer view.Release()
	b := view.AsSlice()
	ip := headerLength(b)
	if len(b) < ip+header.TCPMinimumSize {
		return []frame{f}
	}
	heads := ip + int(b[ip+12]>>4)*4
	if len(b) <= heads+int(f.mss) {
		return []frame{f}
	}
	var out []frame
	id, seq := binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint32(b[ip+4:])
	payload := b[heads:]
	for at := 0; at < len(payload); at += int(f.mss) {
		part := payload[at:min(at+int(f.mss), len(payload))]
		p := make([]byte, 0, heads+len(part))
		p = append(append(p, b[:heads]...), part...)
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
		binary.BigEndian.PutUint16(p[4:], id)
		binary.BigEndian.PutUint32(p[ip+4:], seq+uint32(at))
		if at+len(part) < len(payload) {
			p[ip+13] &^= flagFin | flagPsh
		}
		id++
		s := f
		s.mss = 0
		s.flags = p[ip+13]
		s.pkt = stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(p)})
		out = append(out, s)
	}
	f.release()
	return out
}
