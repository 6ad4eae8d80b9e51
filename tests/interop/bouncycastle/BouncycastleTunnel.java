import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.util.HexFormat;

import org.bouncycastle.tls.BasicTlsPSKIdentity;
import org.bouncycastle.tls.DTLSClientProtocol;
import org.bouncycastle.tls.DTLSTransport;
import org.bouncycastle.tls.PSKTlsClient;
import org.bouncycastle.tls.ProtocolVersion;
import org.bouncycastle.tls.SecurityParameters;
import org.bouncycastle.tls.UDPTransport;
import org.bouncycastle.tls.crypto.impl.bc.BcTlsCrypto;

/**
 * A DTLS client made with Bouncy Castle. Arguments: the server's host and port, the identity, the key, the number of the
 * one suite, and its own connection id in hex. It shakes hands at once and says "open", the server's connection id and
 * whether it is encrypt-then-MAC. From then on a line of hex on stdin is a payload to send, and one on stdout a payload
 * that came. It knows nothing of Commandpost.
 */
public final class BouncycastleTunnel {
    private static final int MTU = 1400;
    private static final HexFormat HEX = HexFormat.of();

    private BouncycastleTunnel() {
    }

    private static final class Client extends PSKTlsClient {
        private final int suite;
        private final byte[] connectionId;
        private String terms = "";

        Client(String identity, String key, int suite, byte[] connectionId) {
            super(new BcTlsCrypto(new SecureRandom()), new BasicTlsPSKIdentity(
                    identity.getBytes(StandardCharsets.UTF_8), key.getBytes(StandardCharsets.UTF_8)));
            this.suite = suite;
            this.connectionId = connectionId;
        }

        @Override
        protected ProtocolVersion[] getSupportedVersions() {
            return ProtocolVersion.DTLSv12.only();
        }

        @Override
        protected int[] getSupportedCipherSuites() {
            return new int[] { suite };
        }

        @Override
        protected byte[] getNewConnectionID() {
            return connectionId;
        }

        @Override
        public void notifyHandshakeComplete() throws IOException {
            super.notifyHandshakeComplete();
            SecurityParameters agreed = context.getSecurityParametersConnection();
            terms = "open " + HEX.formatHex(agreed.getConnectionIDPeer()) + " " + agreed.isEncryptThenMAC();
        }
    }

    private static void hear(DTLSTransport transport) {
        byte[] payload = new byte[1 << 14];
        try {
            while (true) {
                int length = transport.receive(payload, 0, payload.length, 1000);
                if (length >= 0) {
                    say(HEX.formatHex(payload, 0, length));
                }
            }
        } catch (IOException over) {
            System.err.println(over);
            System.exit(1);
        }
    }

    private static void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    public static void main(String[] arguments) throws Exception {
        DatagramSocket socket = new DatagramSocket();
        socket.connect(InetAddress.getByName(arguments[0]), Integer.parseInt(arguments[1]));
        Client client = new Client(arguments[2], arguments[3], Integer.decode(arguments[4]),
                HEX.parseHex(arguments[5]));
        DTLSTransport transport = new DTLSClientProtocol().connect(client, new UDPTransport(socket, MTU));
        say(client.terms);

        Thread hearing = new Thread(() -> hear(transport));
        hearing.setDaemon(true);
        hearing.start();
        BufferedReader payloads = new BufferedReader(new InputStreamReader(System.in));
        for (String line = payloads.readLine(); line != null; line = payloads.readLine()) {
            byte[] payload = HEX.parseHex(line);
            transport.send(payload, 0, payload.length);
        }
        System.exit(0);
    }
}
