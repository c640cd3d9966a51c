// Six SQL engines in one process race for variables that go-mysql-server keeps per process; as containers they do not.
//go:build !race

package hotel_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type answer struct {
	Hotels []struct {
		ID         string
		Name       string
		TotalCents int64
		Lat, Lon   float64
	}
}

func TestSite(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	const near = "/hotels?inDate=2030-01-04&outDate=2030-01-06&lat=37.7867&lon=-122.4112"

	t.Run("search", func(t *testing.T) {
		code, body := s.get(near)
		require.Equal(t, http.StatusOK, code, body)
		var a answer
		require.NoError(t, json.Unmarshal([]byte(body), &a))
		require.Len(t, a.Hotels, 5)
		for i, h := range a.Hotels {
			require.NotEmpty(t, h.Name)
			require.Positive(t, h.TotalCents)
			if i > 0 {
				require.LessOrEqual(t, a.Hotels[i-1].TotalCents, h.TotalCents, "cheapest first")
			}
		}
		// The same question is answered from the caches: nothing may change.
		_, again := s.get(near)
		require.Equal(t, body, again)
		for _, bad := range []string{"inDate=x&outDate=2030-01-06&lat=1&lon=1", "inDate=2030-01-06&outDate=2030-01-06&lat=1&lon=1", "inDate=2030-01-04&outDate=2030-01-06&lat=a&lon=1", "inDate=2030-01-04&outDate=2030-01-06&lat=100&lon=1"} {
			code, body := s.get("/hotels?" + bad)
			require.Equal(t, http.StatusBadRequest, code, body)
		}
		code, body = s.get("/hotels?inDate=2030-01-04&outDate=2030-01-06&lat=0&lon=0")
		require.Equal(t, http.StatusOK, code)
		require.JSONEq(t, `{"hotels":[]}`, body)
	})
	t.Run("recommend", func(t *testing.T) {
		for _, require_ := range []string{"dis", "rate", "price"} {
			code, body := s.get("/recommendations?lat=37.78&lon=-122.41&require=" + require_)
			require.Equal(t, http.StatusOK, code, body)
			require.Contains(t, body, `"name"`)
		}
		code, _ := s.get("/recommendations?lat=37.78&lon=-122.41&require=luck")
		require.Equal(t, http.StatusBadRequest, code)
	})
	t.Run("user", func(t *testing.T) {
		for _, wrong := range []url.Values{{"username": {"guest_1"}, "password": {"x"}}, {"username": {"eve"}, "password": {"x"}}} {
			code, body := s.post("/user", wrong)
			require.Equal(t, http.StatusUnauthorized, code, body)
		}
	})
	t.Run("reserve until full", func(t *testing.T) {
		at := strings.Fields(s.mysql("geo", "SELECT lat, lon FROM geo.point WHERE hotel_id = '3'"))
		require.Len(t, at, 2)
		offered := func() string {
			code, body := s.get("/hotels?inDate=2030-01-09&outDate=2030-01-11&lat=" + at[0] + "&lon=" + at[1])
			require.Equal(t, http.StatusOK, code, body)
			return body
		}
		require.Contains(t, offered(), `{"id":"3"`)
		free := s.mysql("reservation", "UPDATE reservation.room_night SET booked = capacity - 7 WHERE hotel_id = '3' AND night = '2030-01-10'; SELECT 'x'")
		require.Equal(t, "x", free)
		form := url.Values{
			"username": {"guest_2"}, "password": {"hotel-2-guest"}, "customerName": {"guest_2"}, "hotelId": {"3"},
			"inDate": {"2030-01-09"}, "outDate": {"2030-01-11"}, "rooms": {"1"},
		}
		codes := make([]int, 20)
		var wait sync.WaitGroup
		for i := range codes {
			wait.Go(func() { codes[i], _ = s.post("/reservation", form) })
		}
		wait.Wait()
		count := map[int]int{}
		for _, c := range codes {
			count[c]++
		}
		require.Equal(t, map[int]int{http.StatusOK: 7, http.StatusConflict: 13}, count)
		require.Equal(t, "0", s.mysql("reservation", "SELECT capacity - booked FROM reservation.room_night WHERE hotel_id = '3' AND night = '2030-01-10'"))
		require.Equal(t, "7", s.mysql("reservation", "SELECT booked FROM reservation.room_night WHERE hotel_id = '3' AND night = '2030-01-09'"))
		require.Equal(t, "7", s.mysql("reservation", "SELECT COUNT(*) FROM reservation.reservation WHERE hotel_id = '3'"))
		require.NotContains(t, offered(), `{"id":"3"`, "the last booking removed the hotel's calendar from the cache")
		form.Set("hotelId", "999")
		code, _ := s.post("/reservation", form)
		require.Equal(t, http.StatusConflict, code)
	})
	t.Run("a request is booked once", func(t *testing.T) {
		form := url.Values{
			"username": {"guest_2"}, "password": {"hotel-2-guest"}, "customerName": {"guest_2"}, "hotelId": {"4"}, "inDate": {"2030-01-09"}, "outDate": {"2030-01-10"},
		}
		var bodies []string
		for range 3 {
			req, err := http.NewRequest(http.MethodPost, s.front()+"/reservation", strings.NewReader(form.Encode()))
			require.NoError(t, err)
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("Idempotency-Key", "abc")
			resp, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			resp.Body.Close()
			require.Equal(t, http.StatusOK, resp.StatusCode, string(body))
			bodies = append(bodies, string(body))
		}
		require.Equal(t, []string{bodies[0], bodies[0], bodies[0]}, bodies)
		require.Equal(t, "1", s.mysql("reservation", "SELECT booked FROM reservation.room_night WHERE hotel_id = '4' AND night = '2030-01-09'"))
	})
	t.Run("metrics", func(t *testing.T) {
		resp, err := http.Get("http://" + s.lan.address("frontend:9464") + "/metrics")
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Contains(t, string(body), `http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="200",http_route="/hotels"}`)
		require.Contains(t, string(body), `rpc_client_duration_seconds_count{rpc_grpc_status_code="OK",rpc_method="Nearby",rpc_service="hotel.v1.Search"}`)
	})
	t.Run("a trace goes through all services to the stores", func(t *testing.T) {
		const id = "0123456789abcdef0123456789abcdef"
		req, err := http.NewRequest(http.MethodGet, s.front()+"/hotels?inDate=2030-02-04&outDate=2030-02-06&lat=37.7867&lon=-122.4112", nil)
		require.NoError(t, err)
		req.Header.Set("Traceparent", "00-"+id+"-0123456789abcdef-01")
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		resp.Body.Close()
		want := []string{
			"frontend GET /hotels", "frontend hotel.v1.Profile/GetProfiles", "frontend hotel.v1.Reservation/CheckAvailability", "frontend hotel.v1.Search/Nearby",
			"geo hotel.v1.Geo/Nearby", "geo select points in box", "profile MGET", "profile hotel.v1.Profile/GetProfiles",
			"rate MGET", "rate SET", "rate hotel.v1.Rate/GetRates", "rate select season factors",
			"reservation MGET", "reservation hotel.v1.Reservation/CheckAvailability",
			"search hotel.v1.Geo/Nearby", "search hotel.v1.Rate/GetRates", "search hotel.v1.Search/Nearby",
		}
		missing := func() bool {
			return slices.ContainsFunc(want, func(w string) bool { return !slices.Contains(s.spans.trace(id), w) })
		}
		require.Eventually(t, func() bool { return !missing() }, 10*time.Second, 20*time.Millisecond, "%q", s.spans.trace(id))
	})
	t.Run("a revoked grant shows at the front and is gone when it is given back", func(t *testing.T) {
		s.mysql("geo", "REVOKE ALL ON geo.* FROM 'geo'@'%'")
		code, body := s.get(near)
		require.Equal(t, http.StatusInternalServerError, code, body)
		require.Contains(t, s.logs["geo"].String(), "Error 1044")
		require.Contains(t, s.logs["frontend"].String(), `"trace_id"`)
		s.mysql("geo", "GRANT ALL ON geo.* TO 'geo'@'%'")
		code, body = s.get(near)
		require.Equal(t, http.StatusOK, code, body)
	})
	t.Run("a cache that is gone costs nothing but time", func(t *testing.T) {
		s.stops["redis-profile"]()
		code, body := s.get(near)
		require.Equal(t, http.StatusOK, code, body)
	})
	t.Run("a service that is gone", func(t *testing.T) {
		s.stops["rate"]()
		code, body := s.get(near)
		require.Equal(t, http.StatusServiceUnavailable, code, body)
	})
}

func TestBuildVariant(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"rate": "2.3.2"})
	failed := 0
	const days = 14
	for day := range days {
		code, body := s.get(fmt.Sprintf("/hotels?inDate=2030-01-%02d&outDate=2030-01-%02d&lat=37.7867&lon=-122.4112", day+2, day+3))
		if code != http.StatusOK {
			require.Equal(t, http.StatusInternalServerError, code, body)
			require.Contains(t, body, "weekend supplement")
			failed++
		}
	}
	require.Equal(t, 4, failed, "the nights of two Fridays and two Saturdays")
}
