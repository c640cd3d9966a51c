package network

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// reportCPU adds the processor time of an operation, in microseconds: unlike the wall clock, it is about the same on a busy machine.
func reportCPU(b *testing.B) {
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	b.ResetTimer()
	b.Cleanup(func() {
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
		used := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
		b.ReportMetric(float64(used)/1e3/float64(b.N), "cpu-us/op")
	})
}

// BenchmarkHop is one request and answer of 200 bytes between two container processes, through their sandbox sockets and both stacks.
func BenchmarkHop(b *testing.B) {
	for _, parallel := range []int{1, 16} {
		b.Run(fmt.Sprintf("connections=%d", 2*parallel), func(b *testing.B) {
			n := testNetwork(b, nil)
			p, q := addPod(b, n, "a"), addPod(b, n, "b")
			echo(b, container(b, q), ":7")
			c := container(b, p)
			b.SetParallelism(parallel)
			reportCPU(b)
			b.RunParallel(func(pb *testing.PB) {
				conn, err := c.DialContext(b.Context(), "tcp", "10.244.1.3:7")
				if err != nil {
					b.Error(err)
					return
				}
				defer conn.Close()
				msg, got := []byte(strings.Repeat("x", 200)), make([]byte, 200)
				for pb.Next() {
					if _, err := conn.Write(msg); err != nil {
						b.Error(err)
						return
					}
					if _, err := io.ReadFull(conn, got); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkHTTP is one HTTP request between two pods on kept-alive connections.
func BenchmarkHTTP(b *testing.B) {
	n := testNetwork(b, nil)
	p, q := addPod(b, n, "a"), addPod(b, n, "b")
	serve(b, container(b, q), ":80", "b")
	client := httpClient(b, container(b, p))
	b.SetParallelism(16)
	reportCPU(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, err := client.Get("http://10.244.1.3/")
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			r.Body.Close()
		}
	})
}

// BenchmarkDial is one connection from dial to close.
func BenchmarkDial(b *testing.B) {
	n := testNetwork(b, nil)
	p, q := addPod(b, n, "a"), addPod(b, n, "b")
	echo(b, container(b, q), ":7")
	c := container(b, p)
	reportCPU(b)
	for b.Loop() {
		conn, err := c.DialContext(b.Context(), "tcp", "10.244.1.3:7")
		if err != nil {
			b.Fatal(err)
		}
		conn.Close()
	}
}

// BenchmarkBulk is throughput of one connection.
func BenchmarkBulk(b *testing.B) {
	n := testNetwork(b, nil)
	p, q := addPod(b, n, "a"), addPod(b, n, "b")
	l, err := container(b, q).Listen(b.Context(), "tcp", ":9")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err == nil {
			_, _ = io.Copy(io.Discard, struct{ io.Reader }{conn})
			conn.Close()
		}
	}()
	conn, err := container(b, p).DialContext(b.Context(), "tcp", "10.244.1.3:9")
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 64<<10)
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		if _, err := conn.Write(buf); err != nil {
			b.Fatal(err)
		}
	}
	conn.Close()
	<-done
}

// BenchmarkHost is BenchmarkHTTP on the operating system's own loopback device, for comparison.
func BenchmarkHost(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "b for a") })}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l)
	}()
	defer func() {
		srv.Close()
		<-done
	}()
	tr := &http.Transport{MaxIdleConnsPerHost: 64}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	b.SetParallelism(16)
	reportCPU(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, err := client.Get("http://" + l.Addr().String() + "/")
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			r.Body.Close()
		}
	})
}

// BenchmarkWire is BenchmarkHop between the pods of two nodes.
func BenchmarkWire(b *testing.B) {
	one, two := twoNodes(b)
	echo(b, container(b, addPod(b, two, "b")), ":7")
	c := container(b, addPod(b, one, "a"))
	b.SetParallelism(16)
	reportCPU(b)
	b.RunParallel(func(pb *testing.PB) {
		conn, err := c.DialContext(b.Context(), "tcp", "10.244.2.2:7")
		if err != nil {
			b.Error(err)
			return
		}
		defer conn.Close()
		msg := make([]byte, 200)
		for pb.Next() {
			if _, err := conn.Write(msg); err != nil {
				b.Error(err)
				return
			}
			if _, err := io.ReadFull(conn, msg); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkPod is adding and removing a pod; the memory that a pod holds is reported as well.
func BenchmarkPod(b *testing.B) {
	n := testNetwork(b, nil)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 100 {
		addPod(b, n, fmt.Sprint("idle", i))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	for b.Loop() {
		addPod(b, n, "x")
		if err := n.RemovePod("x"); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(after.HeapInuse+after.StackInuse-before.HeapInuse-before.StackInuse)/100, "B/pod")
}

// BenchmarkChain is one HTTP request through ten pods, each of which asks the next through a Service.
func BenchmarkChain(b *testing.B) {
	const hops = 10
	n := testNetwork(b, nil)
	var services []Service
	address := func(i int) string { return fmt.Sprintf("10.96.0.%d", 20+i) }
	for i := range hops {
		p := addPod(b, n, fmt.Sprint("p", i))
		c := container(b, p)
		services = append(services, Service{
			Name: fmt.Sprint("s", i), IPs: []netip.Addr{netip.MustParseAddr(address(i))},
			Ports: []ServicePort{{Protocol: "TCP", Port: 80, Endpoints: []Endpoint{backend(p.IP().String()+":80", "node-1")}}},
		})
		if i == hops-1 {
			serve(b, c, ":80", "end")
			continue
		}
		next := httpClient(b, c)
		l, err := c.Listen(b.Context(), "tcp", ":80")
		if err != nil {
			b.Fatal(err)
		}
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			r, err := next.Get("http://" + address(i+1) + "/")
			if err != nil {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			defer r.Body.Close()
			_, _ = io.Copy(w, r.Body)
		})}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = srv.Serve(l)
		}()
		b.Cleanup(func() {
			srv.Close()
			<-done
		})
	}
	n.SetServices(services)
	client := httpClient(b, container(b, addPod(b, n, "client")))
	b.SetParallelism(8)
	reportCPU(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, err := client.Get("http://" + address(0) + "/")
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			r.Body.Close()
			if r.StatusCode != http.StatusOK {
				b.Error(r.Status)
			}
		}
	})
}
