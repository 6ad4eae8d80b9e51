import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

import com.fasterxml.jackson.databind.ObjectMapper;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.californium.scandium.dtls.cipher.CipherSuite;
import org.eclipse.leshan.client.LeshanClient;
import org.eclipse.leshan.client.LeshanClientBuilder;
import org.eclipse.leshan.client.californium.endpoint.CaliforniumClientEndpointsProvider;
import org.eclipse.leshan.client.californium.endpoint.coaps.CoapsClientProtocolProvider;
import org.eclipse.leshan.client.object.Device;
import org.eclipse.leshan.client.object.Security;
import org.eclipse.leshan.client.object.Server;
import org.eclipse.leshan.client.observer.LwM2mClientObserverAdapter;
import org.eclipse.leshan.client.resource.BaseInstanceEnabler;
import org.eclipse.leshan.client.resource.ObjectsInitializer;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.model.ObjectLoader;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.ResourceModel;
import org.eclipse.leshan.core.model.ResourceModel.Operations;
import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.model.StaticModel;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.node.codec.DefaultLwM2mDecoder;
import org.eclipse.leshan.core.node.codec.DefaultLwM2mEncoder;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.RegisterRequest;
import org.eclipse.leshan.core.request.UpdateRequest;
import org.eclipse.leshan.core.request.argument.Arguments;
import org.eclipse.leshan.core.response.ExecuteResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.response.WriteResponse;

/**
 * A device made with Eclipse Leshan, told what to do by lines of JSON on stdin. What happens to it goes to stdout, a
 * line of JSON each. Arguments: the server's address, the endpoint name, the numbers of the content formats it knows
 * beside text and opaque. Where it is asked for none it answers in TLV all the same, as Leshan does. To an address with
 * coaps it comes with a pre-shared key; the system properties psk.identity, psk.key, dtls.suite and dtls.cid.bytes say
 * how. It knows nothing of Commandpost.
 */
public final class LeshanDevice {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int ACTUATION = 3306;

    private LeshanDevice() {
    }

    static synchronized void tell(String event, String... details) {
        Map<String, String> line = new TreeMap<>();
        line.put("event", event);
        for (int at = 0; at < details.length; at += 2) {
            line.put(details[at], details[at + 1]);
        }
        try {
            System.out.println(JSON.writeValueAsString(line));
        } catch (java.io.IOException error) {
            throw new IllegalStateException(error);
        }
    }

    /** An actuator: on or off, a level, a name, and something to execute. */
    public static final class Actuation extends BaseInstanceEnabler {
        private boolean isOn;
        private long level;
        private String name = "leshan";

        @Override
        public synchronized ReadResponse read(LwM2mServer server, int resource) {
            switch (resource) {
            case 5850:
                return ReadResponse.success(resource, isOn);
            case 5851:
                return ReadResponse.success(resource, level);
            case 5750:
                return ReadResponse.success(resource, name);
            default:
                return super.read(server, resource);
            }
        }

        @Override
        public synchronized WriteResponse write(LwM2mServer server, boolean replace, int resource, LwM2mResource value) {
            Object found = ((LwM2mSingleResource) value).getValue();
            switch (resource) {
            case 5850:
                isOn = (Boolean) found;
                break;
            case 5851:
                level = (Long) found;
                break;
            case 5750:
                name = (String) found;
                break;
            default:
                return super.write(server, replace, resource, value);
            }
            tell("write", "path", ACTUATION + "/0/" + resource, "value", String.valueOf(found));
            return WriteResponse.success();
        }

        @Override
        public ExecuteResponse execute(LwM2mServer server, int resource, Arguments arguments) {
            tell("execute", "path", ACTUATION + "/0/" + resource, "value", arguments.toString());
            return ExecuteResponse.success();
        }

        void setLevel(long changed) {
            synchronized (this) {
                level = changed;
            }
            fireResourceChange(5851);
        }
    }

    private static final class Teller extends LwM2mClientObserverAdapter {
        @Override
        public void onRegistrationSuccess(LwM2mServer server, RegisterRequest request, String id) {
            tell("registered", "location", id);
        }

        @Override
        public void onRegistrationFailure(LwM2mServer server, RegisterRequest request, ResponseCode code, String text,
                Exception cause) {
            tell("error", "of", "register", "text", code + " " + text);
        }

        @Override
        public void onUpdateSuccess(LwM2mServer server, UpdateRequest request) {
            tell("updated");
        }
    }

    private static ObjectModel actuationModel() {
        return new ObjectModel(ACTUATION, "Actuation", "", "1.0", true, false,
                resource(5850, Operations.RW, Type.BOOLEAN), resource(5851, Operations.RW, Type.INTEGER),
                resource(5750, Operations.RW, Type.STRING), resource(5605, Operations.E, Type.NONE));
    }

    private static ResourceModel resource(int id, Operations operations, Type type) {
        return new ResourceModel(id, "r" + id, operations, false, false, type, null, null, "");
    }

    private static Security security(String uri) {
        if (!uri.startsWith("coaps:")) {
            return Security.noSec(uri, 123);
        }
        return Security.psk(uri, 123, System.getProperty("psk.identity").getBytes(StandardCharsets.UTF_8),
                System.getProperty("psk.key").getBytes(StandardCharsets.UTF_8));
    }

    /** One suite, and a connection id of its own that records to it carry. */
    private static CaliforniumClientEndpointsProvider secureEndpoints() {
        var builder = new CaliforniumClientEndpointsProvider.Builder(new CoapsClientProtocolProvider());
        Configuration configuration = builder.createDefaultConfiguration();
        CipherSuite suite = CipherSuite.getTypeByName(System.getProperty("dtls.suite"));
        configuration.set(DtlsConfig.DTLS_RECOMMENDED_CIPHER_SUITES_ONLY, false);
        configuration.set(DtlsConfig.DTLS_CIPHER_SUITES, List.of(suite));
        configuration.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, Integer.valueOf(System.getProperty("dtls.cid.bytes")));
        return builder.setConfiguration(configuration).build();
    }

    public static void main(String[] arguments) throws Exception {
        Actuation actuation = new Actuation();
        List<ObjectModel> models = new ArrayList<>(ObjectLoader.loadDefault());
        models.add(actuationModel());
        ObjectsInitializer objects = new ObjectsInitializer(new StaticModel(models));
        objects.setInstancesForObject(0, security(arguments[0]));
        objects.setInstancesForObject(1, new Server(123, 300));
        objects.setInstancesForObject(3, new Device("Eclipse", "leshan", "1"));
        objects.setInstancesForObject(ACTUATION, actuation);

        List<Integer> formats = new ArrayList<>(List.of(ContentFormat.TEXT_CODE, ContentFormat.OPAQUE_CODE));
        Arrays.stream(arguments).skip(2).map(Integer::valueOf).forEach(formats::add);
        var decoders = DefaultLwM2mDecoder.getDefaultNodeDecoders(false);
        decoders.keySet().removeIf(format -> !formats.contains(format.getCode()));

        LeshanClientBuilder builder = new LeshanClientBuilder(arguments[1]);
        builder.setObjects(objects.createAll());
        builder.setEncoder(new DefaultLwM2mEncoder() {
            @Override
            public Set<ContentFormat> getSupportedContentFormat() {
                return decoders.keySet();
            }
        });
        builder.setDecoder(new DefaultLwM2mDecoder(decoders));
        builder.setEndpointsProviders(
                arguments[0].startsWith("coaps:") ? secureEndpoints() : new CaliforniumClientEndpointsProvider());
        LeshanClient client = builder.build();
        client.addObserver(new Teller());
        client.start();

        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in));
        for (String line = orders.readLine(); line != null; line = orders.readLine()) {
            var order = JSON.readTree(line);
            switch (order.get("do").asText()) {
            case "update":
                client.triggerRegistrationUpdate();
                break;
            case "set_level":
                actuation.setLevel(order.get("value").asLong());
                break;
            case "stop":
                client.stop(true);
                tell("stopped");
                break;
            default:
                tell("error", "text", "no such order: " + line);
            }
        }
        client.destroy(false);
        System.exit(0);
    }
}
