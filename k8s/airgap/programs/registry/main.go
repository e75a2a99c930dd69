// Registry keeps container images for tests, as the OCI distribution specification says: an HTTP server, of one
// account where it is told one.
//
// Reads: $REGISTRY_ADDRESS (such as 127.0.0.1:0), $REGISTRY_FOLDER for the layers, $REGISTRY_ACCOUNT (`user:password`;
// without it everybody is served). Writes: the folder, the line `listening on ADDRESS`, and one line a request.
// Again: manifests are in memory, so it starts empty; layers that are in the folder stay there.
package main

import (
	"crypto/subtle"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	blobs := registry.NewDiskBlobHandler(os.Getenv("REGISTRY_FOLDER"))
	served := registry.New(registry.WithBlobHandler(blobs), registry.Logger(log.New(os.Stdout, "", 0)))
	listener, err := net.Listen("tcp", os.Getenv("REGISTRY_ADDRESS"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on %s\n", listener.Addr())
	server := &http.Server{Handler: guarded(served, os.Getenv("REGISTRY_ACCOUNT")), ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.Serve(listener))
}

// guarded asks for the account by basic authentication, as RFC 7617 has it.
func guarded(next http.Handler, account string) http.Handler {
	if account == "" {
		return next
	}
	user, password, _ := strings.Cut(account, ":")
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		gotUser, gotPassword, _ := request.BasicAuth()
		if !same(gotUser, user) || !same(gotPassword, password) {
			answer.Header().Set("WWW-Authenticate", `Basic realm="tests"`)
			answer.Header().Set("Content-Type", "application/json")
			answer.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(answer, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
			return
		}
		next.ServeHTTP(answer, request)
	})
}

func same(got, want string) bool {
	return subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1
}
