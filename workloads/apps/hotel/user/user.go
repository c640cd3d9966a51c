// Package user checks who a customer is.
package user

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/hex"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	hotelpb "github.com/gameday-bench/gameday/workloads/apps/hotel/proto"
	"github.com/gameday-bench/gameday/workloads/apps/hotel/service"
)

// Port is the gRPC port.
const Port = "8086"

// The cost of a password hash. It is low for a real site, because a log-in must not be the most expensive thing that a
// small cluster does; it is stored with each hash, so it can be raised.
const (
	Iterations = 1000
	keyLength  = 32
)

// Hash returns the PBKDF2-SHA256 of password in hexadecimal.
func Hash(password string, salt []byte, iterations int) (string, error) {
	key, err := pbkdf2.Key(sha256.New, password, salt, iterations, keyLength)
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	return hex.EncodeToString(key), nil
}

// Setup is the service's setup.
func Setup(ctx context.Context, s *service.Service) error {
	rpc, db, err := s.AddStoreRPC(ctx, Port)
	if err != nil {
		return err
	}
	hotelpb.RegisterUserServer(rpc, &server{db: db})
	return nil
}

type server struct {
	hotelpb.UnimplementedUserServer
	db *service.DB
}

// CheckUser implements hotelpb.UserServer. An unknown user costs as much as a wrong password, so that the time does not tell them apart.
func (u *server) CheckUser(ctx context.Context, req *hotelpb.CheckUserRequest) (*hotelpb.CheckUserResponse, error) {
	if req.Username == "" || req.Password == "" {
		return nil, status.Error(codes.InvalidArgument, "username and password are required")
	}
	salt, want, iterations := "00", "", Iterations
	err := u.db.Query(ctx, "select user", "SELECT salt, password_hash, iterations FROM user WHERE username = ?", []any{req.Username},
		func(rows *sql.Rows) error { return rows.Scan(&salt, &want, &iterations) })
	if err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(salt)
	if err != nil {
		return nil, fmt.Errorf("read salt of user: %w", err)
	}
	got, err := Hash(req.Password, raw, iterations)
	if err != nil {
		return nil, err
	}
	return &hotelpb.CheckUserResponse{Correct: want != "" && subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1}, nil
}
