package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"syscall"
)

// answer is the node's reply to a request, with the descriptors that came with it.
type answer struct {
	reply Reply
	files []*os.File
}

// read hands the node's answers to those who wait for them.
func (c *Client) read() {
	buf, oob := make([]byte, MaxMessage), make([]byte, syscall.CmsgSpace(4*maxFiles))
	for {
		n, files, err := recvFiles(c.ctl, buf, oob)
		if err != nil {
			c.mu.Lock()
			c.closed = net.ErrClosed
			for _, ch := range c.waiting {
				close(ch)
			}
			c.waiting = nil
			c.mu.Unlock()
			return
		}
		var r Reply
		if json.Unmarshal(buf[:n], &r) != nil {
			closeFiles(files)
			continue
		}
		if r.ID == 0 {
			c.takenBack(r.Conn)
			continue
		}
		c.mu.Lock()
		ch := c.waiting[r.ID]
		delete(c.waiting, r.ID)
		c.mu.Unlock()
		if ch == nil {
			closeFiles(files)
			continue
		}
		ch <- answer{r, files}
	}
}

// call sends r and waits for its answer. When ctx ends first, the request is cancelled and ctx's error returned.
func (c *Client) call(ctx context.Context, r Request) (answer, error) {
	r.ID = c.nextID.Add(1)
	ch := make(chan answer, 1)
	c.mu.Lock()
	if c.closed != nil {
		c.mu.Unlock()
		return answer{}, c.closed
	}
	c.waiting[r.ID] = ch
	c.mu.Unlock()
	if err := c.send(r); err != nil {
		c.mu.Lock()
		delete(c.waiting, r.ID)
		c.mu.Unlock()
		return answer{}, err
	}
	select {
	case a, ok := <-ch:
		if !ok {
			return answer{}, net.ErrClosed
		}
		return a, nil
	case <-ctx.Done():
	}
	c.mu.Lock()
	_, pending := c.waiting[r.ID]
	delete(c.waiting, r.ID)
	c.mu.Unlock()
	if pending {
		_ = c.send(Request{Op: OpCancel, Conn: r.ID})
	} else if a, ok := <-ch; ok {
		closeFiles(a.files)
	}
	return answer{}, ctx.Err()
}

func (c *Client) send(r Request) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode sandbox request: %w", err)
	}
	if _, err := c.ctl.Write(data); err != nil {
		return fmt.Errorf("send sandbox request: %w", err)
	}
	return nil
}

// free makes the node close a listener or UDP socket now, not when it notices that the descriptor is closed.
func (c *Client) free(id uint64) {
	ctx, cancel := context.WithTimeout(context.Background(), replyTimeout)
	defer cancel()
	_, _ = c.call(ctx, Request{Op: OpClose, Conn: id})
}
