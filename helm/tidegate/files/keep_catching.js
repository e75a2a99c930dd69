// maildev 2.2.1 ends when a client goes away while TLS is being set up, as a port scan does, or a client that does not
// trust the certificate. With this (`node --require`) it says so and goes on catching; any other fault still ends it.
'use strict'

process.on('uncaughtException', (error) => {
  if (error.meta && error.meta.protocol === 'smtp') {
    console.error(`a client went away: ${error.message}`)
  } else {
    console.error(error)
    process.exit(1)
  }
})
