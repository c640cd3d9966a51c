// Six SQL engines in one process race for variables that go-mysql-server keeps per process; as containers they do not.
//go:build !race

package hotel_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkRequests measures whole requests, with every service and store in this process.
func BenchmarkRequests(b *testing.B) {
	s := newSite(b, nil)
	n := 0
	for name, request := range map[string]func() (int, string){
		"search": func() (int, string) {
			return s.get(fmt.Sprintf("/hotels?inDate=2030-01-%02d&outDate=2030-01-%02d&lat=37.%d&lon=-122.%d", 2+n%28, 3+n%28, 7500+n%700, 3700+n%900))
		},
		"recommend": func() (int, string) { return s.get("/recommendations?require=dis&lat=37.78&lon=-122.41") },
		"reserve": func() (int, string) {
			return s.post("/reservation", url.Values{
				"username": {"guest_2"}, "password": {"hotel-2-guest"}, "customerName": {"guest_2"}, "hotelId": {fmt.Sprint(1 + n%80)},
				"inDate": {fmt.Sprintf("2030-02-%02d", 1+n%27)}, "outDate": {fmt.Sprintf("2030-02-%02d", 2+n%27)},
			})
		},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				n++
				code, body := request()
				require.Contains(b, []int{http.StatusOK, http.StatusConflict}, code, body)
			}
		})
	}
}
