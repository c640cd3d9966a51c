package network

import "time"

// BufferSizes are the least, the first and the largest size of a socket's buffer, in bytes.
type BufferSizes struct{ Min, Default, Max int }

// TCPSettings are what a pod can set of its TCP by sysctls. The zero value of each means its default.
type TCPSettings struct {
	// FinTimeout bounds how long a closed connection waits for its peer's FIN (net.ipv4.tcp_fin_timeout).
	FinTimeout time.Duration
	// Receive and Send are net.ipv4.tcp_rmem and net.ipv4.tcp_wmem.
	Receive, Send BufferSizes
}

// defaultTCP are the settings of a pod that sets nothing. Its timeout is shorter than Linux's 60 s, since every connection that waits keeps an
// endpoint, for every pod in one process.
func defaultTCP() TCPSettings {
	sizes := BufferSizes{Min: 4 << 10, Default: 128 << 10, Max: 4 << 20}
	return TCPSettings{FinTimeout: 20 * time.Second, Receive: sizes, Send: sizes}
}

func (s TCPSettings) orDefault() TCPSettings {
	d := defaultTCP()
	if s.FinTimeout == 0 {
		s.FinTimeout = d.FinTimeout
	}
	if s.Receive == (BufferSizes{}) {
		s.Receive = d.Receive
	}
	if s.Send == (BufferSizes{}) {
		s.Send = d.Send
	}
	return s
}
