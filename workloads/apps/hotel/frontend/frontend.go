// Package frontend is the hotel application's HTTP API.
package frontend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	hotelpb "github.com/gameday-bench/gameday/workloads/apps/hotel/proto"
	"github.com/gameday-bench/gameday/workloads/apps/hotel/service"
)

// Port is the HTTP port.
const Port = "8080"

// Timeouts of the routes and of the calls behind them. Search makes two calls in a row, so it has longer.
const (
	routeTimeout  = 4500 * time.Millisecond
	callTimeout   = 2500 * time.Millisecond
	searchTimeout = 4 * time.Second
)

// bodyLimit bounds a request's body in bytes.
const bodyLimit = 16 << 10

// Setup is the service's setup.
func Setup(ctx context.Context, s *service.Service) error {
	f, err := dial(s)
	if err != nil {
		return err
	}
	return s.AddPublicHTTP(ctx, ":"+s.Setting("HTTP_PORT", Port),
		service.Route{Pattern: "GET /hotels", Handle: handle(f.hotels), Timeout: routeTimeout},
		service.Route{Pattern: "GET /recommendations", Handle: handle(f.recommendations), Timeout: routeTimeout},
		service.Route{Pattern: "POST /user", Handle: handle(f.login), Timeout: routeTimeout},
		service.Route{Pattern: "POST /reservation", Handle: handle(f.reserve), Timeout: routeTimeout},
	)
}

// frontend holds the clients of the services behind it.
type frontend struct {
	search         hotelpb.SearchClient
	profile        hotelpb.ProfileClient
	recommendation hotelpb.RecommendationClient
	user           hotelpb.UserClient
	reservation    hotelpb.ReservationClient
}

func dial(s *service.Service) (*frontend, error) {
	var errs []error
	peer := func(setting, address string, desc grpc.ServiceDesc, timeout time.Duration, idempotent ...string) *grpc.ClientConn {
		conn, err := s.Dial(service.Peer{Setting: setting, Default: address, Service: desc.ServiceName, Timeout: timeout, Idempotent: idempotent})
		errs = append(errs, err)
		return conn
	}
	f := &frontend{
		search:         hotelpb.NewSearchClient(peer("SEARCH_ADDR", "search:8082", hotelpb.Search_ServiceDesc, searchTimeout, "Nearby")),
		profile:        hotelpb.NewProfileClient(peer("PROFILE_ADDR", "profile:8081", hotelpb.Profile_ServiceDesc, callTimeout, "GetProfiles")),
		recommendation: hotelpb.NewRecommendationClient(peer("RECOMMENDATION_ADDR", "recommendation:8085", hotelpb.Recommendation_ServiceDesc, callTimeout, "GetRecommendations")),
		user:           hotelpb.NewUserClient(peer("USER_ADDR", "user:8086", hotelpb.User_ServiceDesc, callTimeout, "CheckUser")),
		// A booking that may have happened is not tried again.
		reservation: hotelpb.NewReservationClient(peer("RESERVATION_ADDR", "reservation:8087", hotelpb.Reservation_ServiceDesc, callTimeout, "CheckAvailability")),
	}
	return f, errors.Join(errs...)
}

// handle makes an HTTP handler of a function from a request to an answer. The answer is JSON; an error is
// {"error": ...} with the status code that belongs to its gRPC code.
func handle(answer func(r *http.Request) (any, error)) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
		var body any
		err := r.ParseForm()
		if err != nil {
			err = status.Errorf(codes.InvalidArgument, "read request: %v", err)
		} else {
			body, err = answer(r)
		}
		code := http.StatusOK
		if err != nil {
			code, body = httpStatus(err), map[string]string{"error": status.Convert(err).Message()}
		}
		data, encodeErr := json.Marshal(body)
		if encodeErr != nil {
			return fmt.Errorf("encode answer: %w", encodeErr)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		// A client that has gone is not an error of ours.
		_, _ = w.Write(append(data, '\n'))
		return err
	}
}

// httpStatus maps a gRPC status to HTTP.
func httpStatus(err error) int {
	switch status.Code(err) {
	case codes.InvalidArgument, codes.OutOfRange:
		return http.StatusBadRequest
	case codes.Unauthenticated:
		return http.StatusUnauthorized
	case codes.NotFound:
		return http.StatusNotFound
	case codes.FailedPrecondition, codes.AlreadyExists:
		return http.StatusConflict
	case codes.ResourceExhausted:
		return http.StatusTooManyRequests
	case codes.Unavailable:
		return http.StatusServiceUnavailable
	case codes.DeadlineExceeded:
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}
