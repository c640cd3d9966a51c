package sandbox

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// lease returns a lease as its giver and as another process have it.
func lease(t *testing.T) (mine, theirs *Lease) {
	t.Helper()
	mine, fd, err := NewLease()
	require.NoError(t, err)
	theirs, err = OpenLease(fd)
	require.NoError(t, err)
	require.NoError(t, unix.Close(fd))
	return mine, theirs
}

func TestLeaseIsRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mine, theirs := lease(t)
		require.True(t, theirs.begin())
		done := make(chan struct{})
		go func() {
			defer close(done)
			mine.Revoke()
		}()
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("revoked in the middle of a write")
		default:
		}
		theirs.end(10)
		<-done
		require.True(t, theirs.Revoked())
		require.False(t, theirs.begin())
		bytes, writes := mine.Written()
		require.Equal(t, [2]uint64{10, 1}, [2]uint64{bytes, writes})
		mine.Renew()
		require.False(t, theirs.begin(), "what is revoked stays so")
	})
}

func TestRevokeDoesNotWaitForAStoppedProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mine, theirs := lease(t)
		require.True(t, theirs.begin())
		began := time.Now()
		mine.Revoke()
		require.Less(t, time.Since(began), LeaseTerm)
	})
}

func TestLeaseEndsUnlessBothSidesRenewIt(t *testing.T) {
	for name, idle := range map[string]int{"the giver hangs": giver, "the taker hangs": taker} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mine, theirs := lease(t)
				time.Sleep(LeaseTerm / 2)
				require.True(t, theirs.begin())
				theirs.end(1)
				mine.Renew()
				theirs.Renew()
				time.Sleep(LeaseTerm * 3 / 4)
				require.True(t, theirs.begin())
				theirs.end(1)
				for _, l := range []*Lease{mine, theirs} {
					if l.side != idle {
						l.Renew()
					}
				}
				time.Sleep(LeaseTerm / 2)
				require.False(t, theirs.begin())
			})
		})
	}
}
